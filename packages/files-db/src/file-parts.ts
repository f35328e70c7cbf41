import type { CallContext, StorageService, TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import type { QuotaWaiters } from './quota-wait.ts';
import type { TenantTurns } from './tenants/turns.ts';

/** Dependencies of the file operations. */
export interface FileParts {
  readonly sql: Sql;
  readonly storage: StorageService;
  readonly newId: () => string;
  readonly presignExpires: number | undefined;
  readonly waiters: QuotaWaiters;
  readonly turns: TenantTurns;
}

/** Counts and logs a call under the tenant's slug, unless the caller chose another label. */
export function labelled(ctx: CallContext, tenant: TenantContext | undefined): CallContext {
  return tenant === undefined || ctx.tenant !== undefined ? ctx : { ...ctx, tenant: tenant.tenantSlug };
}

/** Drops the abort signal, for cleanup that must go on when the caller goes away. */
export function unstoppable({ signal: _signal, ...ctx }: CallContext): CallContext {
  return ctx;
}
