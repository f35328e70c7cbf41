import { assertContext, noContext, untilAborted } from '@coffer/storage-core';
import type { CallContext, TenantContext } from '@coffer/storage-core';

/** Counts and logs a call under the tenant's slug, unless the caller chose another label. */
export function labelled(ctx: CallContext, tenant: TenantContext | undefined): CallContext {
  const label = tenant?.tenantSlug;
  return label === undefined || ctx.tenant !== undefined ? ctx : { ...ctx, tenant: label };
}

/** Drops the abort signal, for cleanup that must go on when the caller goes away. */
export function withoutSignal({ signal: _signal, ...ctx }: CallContext): CallContext {
  return ctx;
}

/** @throws invalid_argument for what is no context, and the signal's reason */
export function assertWanted(ctx: { readonly signal?: AbortSignal | undefined }): void {
  assertContext(ctx);
  ctx.signal?.throwIfAborted();
}

/** Runs what nothing can stop, such as a statement, and waits for it until the caller's signal aborts. @throws the signal's reason */
export async function runUntilAborted<T>(
  run: () => Promise<T>,
  ctx: { readonly signal?: AbortSignal | undefined } = noContext,
): Promise<T> {
  assertWanted(ctx);
  return untilAborted(run(), ctx.signal);
}
