import type { CallContext, StorageService, TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import type { QuotaWaiters } from './quota-waiters.ts';
import type { TenantRepository } from './tenants/repository.ts';
import type { TenantQueues } from './tenants/tenant-queues.ts';

/** Dependencies of the file operations. */
export interface FileParts {
  readonly sql: Sql;
  readonly storage: StorageService;
  readonly newId: () => string;
  readonly presignExpires: number | undefined;
  readonly waiters: QuotaWaiters;
  readonly tenantQueues: TenantQueues;
  readonly tenants: Pick<TenantRepository, 'forget'> | undefined;
}

/** Counts and logs a call under the tenant's slug, unless the caller chose another label. */
export function labelled(ctx: CallContext, tenant: TenantContext | undefined): CallContext {
  return tenant === undefined || ctx.tenant !== undefined ? ctx : { ...ctx, tenant: tenant.tenantSlug };
}

/** Drops the abort signal, for cleanup that must go on when the caller goes away. */
export function withoutSignal({ signal: _signal, ...ctx }: CallContext): CallContext {
  return ctx;
}
