import type { CallContext, StorageService, TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import type { QuotaWaiters } from './quota-wait.ts';
import type { TenantTurns } from './tenant-turns.ts';

/** What the operations on files work with. */
export interface FileParts {
  readonly sql: Sql;
  readonly storage: StorageService;
  readonly newId: () => string;
  readonly presignExpires: number | undefined;
  readonly waiters: QuotaWaiters;
  readonly turns: TenantTurns;
}

/** Counts and logs a call under the tenant's slug, unless the caller says otherwise. */
export function labelled(ctx: CallContext, tenant: TenantContext | undefined): CallContext {
  return tenant === undefined || ctx.tenant !== undefined ? ctx : { ...ctx, tenant: tenant.tenantSlug };
}

/** For cleaning up, which the caller's going away does not stop. */
export function unstoppable({ signal: _signal, ...ctx }: CallContext): CallContext {
  return ctx;
}
