import type { Database, TenantRepository, TenantRepositoryOptions } from '@coffer/files-db';
import { bucketNameFor } from '@coffer/tenancy';

import { ConfigError } from './config-error.ts';
import type { StorageConfig } from './config-storage.ts';
import type { Config } from './config.ts';
import { reservedBy } from './create-storage.ts';

/** The tenants that the database has, with the buckets that the configuration gives them. @throws ConfigError, what a statement does */
export async function openTenants(
  config: Config,
  database: Database,
  options: Pick<TenantRepositoryOptions, 'holdsObjects'> = {},
): Promise<TenantRepository> {
  const { TenantRepository } = await import('@coffer/files-db');
  const { storage } = config;
  const reservedBuckets = reservedBy(config);
  const tenants = new TenantRepository({
    database,
    bucketNameFor: (tenant) => bucketNameFor(storage.bucketNamingPattern, tenant, reservedBuckets),
    reservedBuckets,
    ...options,
  });
  if (storage.enabled) await assertReserved(tenants, storage);
  return tenants;
}

/** The default and the shared bucket must not belong to a tenant: callers without a tenant would read and write there. */
async function assertReserved(tenants: TenantRepository, { bucket, sharedBucket }: StorageConfig): Promise<void> {
  const named = { STORAGE_BUCKET: bucket, STORAGE_SHARED_BUCKET: sharedBucket };
  const owners = await tenants.ownersOf(Object.values(named).filter((name) => name !== undefined));
  const mistakes = Object.entries(named).flatMap(([variable, name]) => {
    const owner = owners.get(name ?? '');
    return owner === undefined ? [] : [{ variable, message: `names a bucket of the tenant ${owner}; it must name one of no tenant.` }];
  });
  if (mistakes.length > 0) throw new ConfigError(mistakes);
}
