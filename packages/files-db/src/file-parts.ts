import type { StorageService } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import type { FileRecord } from './file-record.ts';
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
  /** Running attempts to complete an upload, by file. */
  readonly completing: Map<string, Promise<FileRecord | undefined>>;
  readonly tenants: Pick<TenantRepository, 'forget'> | undefined;
}
