import type { Sql } from 'postgres';

import { statement } from './database/statement.ts';
import { inTransaction } from './database/transaction.ts';
import { toTombstones } from './deletion-statements.ts';
import { lowestId } from './ids.ts';
import { isOfPlace, releasePlace } from './relocation-statements.ts';
import { lockUsage, notedAsFreed } from './tenants/rows.ts';

export interface TombstoneRow {
  readonly id: string;
  readonly bucket: string;
  readonly storage_key: string;
  readonly upload_key: string | null;
}

/** Part of the statements' text: for an arbitrary number of files, the planner would read the whole table. */
const batchSize = 500;

// Like deleting one file after the other, in the order of `files_by_tenant` and `files_by_bucket`. Usage rows are locked in one order,
// since a bucket may hold files of several tenants.
const deleteWhere = (condition: string): string => `
  with target as (
    select id, status as was from files where ${condition} and status <> 'deleted' and id > {after}::uuid
    order by id nulls first limit ${batchSize} for update
  ), moved as (
    ${toTombstones}
  ), sums as (
    select tenant_uuid,
      coalesce(sum(size_bytes) filter (where was = 'available'), 0) as used,
      count(*) filter (where was = 'available') as files,
      coalesce(sum(reserved_bytes) filter (where was = 'pending'), 0) as reserved
    from moved where tenant_uuid is not null group by tenant_uuid
  ), locked as (
    select tenant_uuid from tenant_usage where tenant_uuid in (select tenant_uuid from sums) order by tenant_uuid for update
  ), counted as (
    update tenant_usage u set used_bytes = u.used_bytes - sums.used, used_files = u.used_files - sums.files,
      reserved_bytes = u.reserved_bytes - sums.reserved
    from sums, locked where u.tenant_uuid = sums.tenant_uuid and locked.tenant_uuid = sums.tenant_uuid
  )
  select id, bucket, storage_key, upload_key from moved`;

interface Batch {
  readonly of: string;
  /** The last id of the previous batch. */
  readonly after: string;
}

const deleteTenantFiles = statement<Batch, TombstoneRow>(deleteWhere('tenant_uuid = {of}::text'));
const deleteBucketFiles = statement<Batch, TombstoneRow>(deleteWhere('bucket = {of}::text'));

/** Turns all files of a tenant or in a bucket into tombstones, and yields them in batches. Their objects still exist. */
export async function* deleteFiles(
  sql: Sql,
  of: { readonly tenant: string } | { readonly bucket: string },
): AsyncGenerator<readonly TombstoneRow[], void> {
  yield* inBatches((batch) =>
    'tenant' in of ? deleteTenantFiles(sql, { ...batch, of: of.tenant }) : deleteBucketFiles(sql, { ...batch, of: of.bucket }),
  );
}

// In the order of `files_by_status`: in any other order, each batch would read all tombstones of the tenant, which are all its files.
const releaseFormer = statement<Batch, TombstoneRow>(`
  with target as (
    select id from files where tenant_uuid = {of}::text and ${isOfPlace('files')} and sweep_at > now() and id < {after}::uuid
    order by id desc nulls last limit ${batchSize} for update
  )
  ${releasePlace} from target where f.id = target.id
  returning f.id, f.bucket, f.storage_key, f.upload_key`);

/** Yields, in batches, what moves of a tenant's files left behind for URLs already handed out, and makes it due for the sweep. */
export async function* releaseFormerLocations(sql: Sql, of: { readonly tenant: string }): AsyncGenerator<readonly TombstoneRow[], void> {
  yield* inBatches((batch) => releaseFormer(sql, { ...batch, of: of.tenant }), 'descending');
}

const highestId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

async function* inBatches(
  next: (batch: Omit<Batch, 'of'>) => Promise<readonly TombstoneRow[]>,
  order: 'ascending' | 'descending' = 'ascending',
): AsyncGenerator<readonly TombstoneRow[], void> {
  let after = order === 'ascending' ? lowestId : highestId;
  for (;;) {
    const rows = await next({ after });
    if (rows.length > 0) yield rows;
    if (rows.length < batchSize) return;
    const ids = rows.map(({ id }) => id).toSorted(); // an update returns its rows in any order
    after = (order === 'ascending' ? ids.at(-1) : ids[0])!;
  }
}

/** Whether a bucket holds tracked files. */
export const findFileIn = statement<{ readonly bucket: string }, { readonly id: string }>(
  `select id from files where bucket = {bucket}::text and status <> 'deleted' order by id nulls first limit 1`,
);

const close = statement<{ readonly tenant: string; readonly force: boolean }, { readonly tenant_uuid: string }>(`
  with closed as (
    update tenant_usage set closed = true where tenant_uuid = {tenant}::text and ({force}::boolean or
      (used_files = 0 and not exists (select from files where tenant_uuid = {tenant}::text and status = 'pending' and sweep_at is not null)))
    returning tenant_uuid
  )
  update tenants t set state = 'deleting' from closed where t.tenant_uuid = closed.tenant_uuid returning t.tenant_uuid`);

/**
 * Keeps a tenant from getting more files. Runs two statements: the second one sees the files that were reserved before the first one got its lock. A
 * single statement would not see them, since waiting for a row does not refresh the snapshot of a subquery.
 * @see reserveFile, which rechecks `closed` after waiting for this
 * @returns false, with nothing changed, when the tenant has files and `force` is not set
 */
export async function closeTenant(sql: Sql, request: { readonly tenant: string; readonly force: boolean }): Promise<boolean> {
  return inTransaction(sql, async (transaction) => {
    await lockUsage(transaction, { tenant: request.tenant });
    return (await close(transaction, request)).length > 0;
  });
}

/** Undoes `closeTenant`. */
export const reopenTenant = statement<{ readonly tenant: string }, never>(`
  with opened as (update tenant_usage set closed = false where tenant_uuid = {tenant}::text returning tenant_uuid)
  update tenants t set state = 'active' from opened where t.tenant_uuid = opened.tenant_uuid`);

/** Keeps only the tenant's uuid and slugs. */
export const forgetTenant = statement<{ readonly tenant: string }, never>(`
  with usage as (delete from tenant_usage where tenant_uuid = {tenant}::text returning tenant_uuid),
    buckets as (delete from tenant_buckets where tenant_uuid = {tenant}::text returning bucket, tenant_uuid),
    noted as (${notedAsFreed('buckets')})
  update tenants t set state = 'deleted' from usage where t.tenant_uuid = usage.tenant_uuid`);
