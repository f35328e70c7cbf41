import type { StorageService } from '@coffer/storage-core';
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
