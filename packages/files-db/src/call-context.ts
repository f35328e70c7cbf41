import { untilAborted } from '@coffer/storage-core';
import type { CallContext, TenantContext } from '@coffer/storage-core';

/** Counts and logs a call under the tenant's slug, unless the caller chose another label. */
export function labelled(ctx: CallContext, tenant: TenantContext | undefined): CallContext {
  return tenant === undefined || ctx.tenant !== undefined ? ctx : { ...ctx, tenant: tenant.tenantSlug };
}

/** Drops the abort signal, for cleanup that must go on when the caller goes away. */
export function withoutSignal({ signal: _signal, ...ctx }: CallContext): CallContext {
  return ctx;
}

/** Runs what nothing can stop, such as a statement, and waits for it until the caller's signal aborts. @throws the signal's reason */
export async function runUntilAborted<T>(
  run: () => Promise<T>,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<T> {
  signal?.throwIfAborted();
  return untilAborted(run(), signal);
}
