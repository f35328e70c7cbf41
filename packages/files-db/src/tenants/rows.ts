import { canonicalTenantUuid, storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import { statement } from '../database/statement.ts';
import { inTransaction } from '../database/transaction.ts';
import { assertFields, bytesProblem, tenantNameProblem } from '../field-checks.ts';
import type { NewTenant, Tenant } from './tenant.ts';

interface TenantRow {
  readonly tenant_uuid: string;
  readonly tenant_slug: string;
  readonly state: 'active' | 'deleting' | 'deleted';
  readonly created_at: string;
  readonly quota_bytes: string | null;
  /** JSON array of names. */
  readonly buckets: string;
}

// Subqueries: a join reads, for each page of tenants, the rows of all tenants before it.
const columns = `t.tenant_uuid, t.tenant_slug, t.state, (extract(epoch from t.created_at) * 1000)::int8 as created_at,
  (select u.quota_bytes from tenant_usage u where u.tenant_uuid = t.tenant_uuid) as quota_bytes,
  coalesce((select json_agg(b.bucket order by b.position, b.bucket) from tenant_buckets b where b.tenant_uuid = t.tenant_uuid), '[]')::text as buckets`;

/** The only place that turns a row into a tenant. */
export function tenantOf(row: TenantRow): Tenant {
  return {
    tenantUuid: row.tenant_uuid,
    tenantSlug: row.tenant_slug,
    buckets: JSON.parse(row.buckets) as string[],
    quotaBytes: row.quota_bytes === null ? null : Number(row.quota_bytes),
    createdAt: new Date(Number(row.created_at)),
  };
}

/** Includes deleted tenants. `knows_slug`: whether the slug is or was this tenant's. */
export const findByUuid = statement<{ readonly uuid: string; readonly slug: string | null }, TenantRow & { readonly knows_slug: boolean }>(`
  select ${columns}, exists (select from tenant_slugs s where s.slug = {slug}::text and s.tenant_uuid = t.tenant_uuid) as knows_slug
  from tenants t where t.tenant_uuid = {uuid}::text`);

/** By uuid, then by current slug. */
export const findById = statement<{ readonly uuid: string; readonly slug: string }, TenantRow>(`
  select ${columns} from tenants t
  where (t.tenant_uuid = {uuid}::text or t.tenant_slug = {slug}::text) and t.state <> 'deleted'
  order by t.tenant_uuid = {uuid}::text desc limit 1`);

/** Who has which of these buckets, given as a JSON array: one parameter each would be too many. */
export const findOwners = statement<{ readonly buckets: string }, { readonly bucket: string; readonly tenant_uuid: string }>(`
  select bucket, tenant_uuid from tenant_buckets where bucket = any (array(select json_array_elements_text({buckets}::text::json)))`);

/** Every change of a row of `tenants` locks the tenant's row of `tenant_usage` first, so that no two changes deadlock. */
export const lockUsage = statement<{ readonly tenant: string }, { readonly tenant_uuid: string }>(
  `select tenant_uuid from tenant_usage where tenant_uuid = {tenant}::text for update`,
);

/**
 * Keeps all other transactions from assigning either of two names until this one ends: uuids and slugs are looked up in place of each
 * other, and share one namespace. The locks are taken in one order, so that no two transactions deadlock.
 */
export const lockNames = statement<{ readonly one: string; readonly other: string }, never>(`
  select pg_advisory_xact_lock(key) from (
    select hashtextextended({one}::text, 0) as key union select hashtextextended({other}::text, 0) order by key
  ) names`);

/**
 * Gives a tenant a slug that is its own already or nobody's. No row when the slug is, or was, another tenant's, or is its uuid. Takes the
 * slug in `tenants` first, as `insertTenant` does.
 * @param slugUuid the slug in the spelling of a uuid, which is taken as well
 */
export const renameTenant = statement<
  { readonly tenant: string; readonly slug: string; readonly slugUuid: string },
  { readonly complete: boolean }
>(`
  with renamed as (
    update tenants set tenant_slug = {slug}::text where tenant_uuid = {tenant}::text
      and not exists (select from tenants where tenant_uuid = {slugUuid}::text and tenant_uuid <> {tenant}::text)
    returning tenant_uuid, tenant_slug
  ), taken as (
    insert into tenant_slugs as s (slug, tenant_uuid)
    select tenant_slug, tenant_uuid from renamed union select {slugUuid}::text, tenant_uuid from renamed
    on conflict (slug) do update set slug = excluded.slug where s.tenant_uuid = excluded.tenant_uuid
    returning slug
  )
  select true as complete from taken having count(*) = case when {slug}::text = {slugUuid}::text then 1 else 2 end`);

export const setQuota = statement<{ readonly tenant: string; readonly quota: number | null }, { readonly tenant_uuid: string }>(
  `update tenant_usage set quota_bytes = {quota}::int8 where tenant_uuid = {tenant}::text returning tenant_uuid`,
);

/** The usage of a tenant, found as by `findById`. */
export const findUsage = statement<
  { readonly uuid: string; readonly slug: string },
  { readonly used_bytes: string; readonly used_files: string; readonly quota_bytes: string | null }
>(`
  select u.used_bytes, u.used_files, u.quota_bytes from tenants t join tenant_usage u on u.tenant_uuid = t.tenant_uuid
  where (t.tenant_uuid = {uuid}::text or t.tenant_slug = {slug}::text) and t.state <> 'deleted'
  order by t.tenant_uuid = {uuid}::text desc limit 1`);

/** The tenants that use most, by slug, then the sum of all others, with null as the slug. */
export const snapshotUsage = statement<{ readonly limit: number }, { readonly tenant: string | null; readonly bytes: string }>(`
  select case when place <= {limit}::int8 then tenant_slug end as tenant, sum(used_bytes) as bytes
  from (
    select t.tenant_slug, u.used_bytes, row_number() over (order by u.used_bytes desc, t.tenant_uuid) as place
    from tenant_usage u join tenants t on t.tenant_uuid = u.tenant_uuid
  ) ranked
  group by 1 order by max(case when place <= {limit}::int8 then 0 else 1 end), min(place)`);

/** Ordered by uuid, after `after`. */
export const listTenants = statement<{ readonly after: string; readonly limit: number }, TenantRow>(`
  select ${columns} from tenants t where t.tenant_uuid > {after}::text and t.state <> 'deleted' order by t.tenant_uuid limit {limit}::int8`);

/**
 * How many seconds another tenant's former bucket has to wait for this one; no row when it need not, or somebody else has it already. It
 * need not if it was freed in the future: the clock was set back, and would otherwise have to catch up first.
 * @param seconds for which processes remember
 */
const findWait = statement<{ readonly tenant: string; readonly bucket: string; readonly seconds: number }, { readonly seconds: string }>(`
  select extract(epoch from freed_at - clock_timestamp()) + {seconds}::float8 as seconds from freed_buckets
  where bucket = {bucket}::text and tenant_uuid <> {tenant}::text
    and freed_at > clock_timestamp() - {seconds}::float8 * interval '1 second'
    and freed_at < clock_timestamp() + interval '1 second'
    and not exists (select from tenant_buckets b where b.bucket = {bucket}::text and b.tenant_uuid <> {tenant}::text)`);

/** The bucket, if it was taken from this tenant less than `seconds` ago. */
export const findLatelyFreed = statement<
  { readonly tenant: string; readonly bucket: string; readonly seconds: number },
  { readonly bucket: string }
>(`
  select bucket from freed_buckets where bucket = {bucket}::text and tenant_uuid = {tenant}::text
    and freed_at > clock_timestamp() - {seconds}::float8 * interval '1 second'`);

interface BucketClaim {
  readonly tenant: string;
  readonly bucket: string;
  readonly onlyFirst: boolean;
  readonly evenClosed: boolean;
}

/**
 * Assigns a bucket that nobody has to a tenant, as its last one; with `onlyFirst`, only if the tenant has none yet. Either a deletion of
 * the tenant waits for this and sees the bucket, or this waits for the deletion and assigns nothing, unless `evenClosed`.
 */
const insertBucket = statement<BucketClaim, { readonly bucket: string }>(`
  insert into tenant_buckets (bucket, tenant_uuid, position)
  select {bucket}::text, {tenant}::text, coalesce(max(position) + 1, 0) from tenant_buckets where tenant_uuid = {tenant}::text
  having (count(*) = 0 or not {onlyFirst}::boolean) and exists (
    select from tenants
    where tenant_uuid = {tenant}::text and (state = 'active' or state = 'deleting' and {evenClosed}::boolean) for share)
  on conflict do nothing
  returning bucket`);

/**
 * See `insertBucket`. Assigns nothing as long as another process may remember the bucket as another tenant's, also where it had to wait for
 * that tenant to lose it: only a statement after that sees when it was.
 * @param seconds for which processes remember
 * @returns `wait`: seconds after which to try again, if that is why nothing was assigned
 */
export async function claimBucket(
  sql: Sql,
  claim: BucketClaim,
  seconds: number,
): Promise<{ readonly claimed: boolean; readonly wait: number | undefined }> {
  return inTransaction(sql, async (transaction) => {
    await transaction`savepoint unclaimed`;
    const [claimed] = await insertBucket(transaction, claim);
    const [waiting] = await findWait(transaction, { tenant: claim.tenant, bucket: claim.bucket, seconds });
    if (waiting === undefined) return { claimed: claimed !== undefined, wait: undefined };
    await transaction`rollback to savepoint unclaimed`;
    return { claimed: false, wait: Number(waiting.seconds) };
  });
}

/** Notes when buckets were freed. The notes are few: `releaseBucket` removes those of long ago. */
export const notedAsFreed = (rows: string): string => `
  insert into freed_buckets (bucket, tenant_uuid, freed_at) select bucket, tenant_uuid, clock_timestamp() from ${rows}
  on conflict (bucket) do update set tenant_uuid = excluded.tenant_uuid, freed_at = excluded.freed_at`;

/** Takes a bucket from whichever tenant has it. */
export const releaseBucket = statement<{ readonly bucket: string }, { readonly tenant_uuid: string }>(`
  with released as (
    delete from tenant_buckets where bucket = {bucket}::text returning bucket, tenant_uuid
  ), noted as (${notedAsFreed('released')}
  ), cleared as (
    delete from freed_buckets where bucket <> {bucket}::text and freed_at < now() - interval '1 day'
  )
  select tenant_uuid from released`);

const insertTenant = statement<
  { readonly uuid: string; readonly slug: string; readonly slugUuid: string; readonly quota: number | null },
  { readonly tenant_uuid: string }
>(`
  with tenant as (
    insert into tenants (tenant_uuid, tenant_slug)
    select {uuid}::text, {slug}::text
    where not exists (select from tenant_slugs where slug in ({slug}::text, {slugUuid}::text, {uuid}::text))
      and not exists (select from tenants where tenant_uuid = {slugUuid}::text)
    on conflict do nothing
    returning tenant_uuid, tenant_slug
  ), slug as (
    insert into tenant_slugs (slug, tenant_uuid)
    select tenant_slug, tenant_uuid from tenant union select {slugUuid}::text, tenant_uuid from tenant
  ), usage as (
    insert into tenant_usage (tenant_uuid, quota_bytes) select tenant_uuid, {quota}::int8 from tenant
  )
  select tenant_uuid from tenant`);

/**
 * Registers a tenant unless its uuid or slug is, or ever was, taken, as either a uuid or a slug.
 * @returns whether it was registered
 * @throws validation_failed
 */
export async function register(sql: Sql, tenant: NewTenant): Promise<boolean> {
  const { tenantUuid, tenantSlug: slug, quotaBytes = null } = tenant;
  assertFields({
    tenant_uuid: tenantNameProblem(tenantUuid),
    tenant_slug: tenantNameProblem(slug),
    quota_bytes: quotaBytes === null ? undefined : bytesProblem(quotaBytes),
  });
  const [uuid, slugUuid] = [canonicalTenantUuid(tenantUuid), canonicalTenantUuid(slug)];
  return inTransaction(sql, async (transaction) => {
    await lockNames(transaction, { one: uuid, other: slugUuid });
    return (await insertTenant(transaction, { uuid, slug, slugUuid, quota: quotaBytes })).length > 0;
  });
}

/**
 * The tenant with this uuid and slug; registers it on first use.
 * @throws tenant_mismatch when they do not belong together, or belonged to a deleted tenant
 */
export async function resolveTenant(sql: Sql, claimed: TenantContext): Promise<Tenant> {
  const { tenantUuid, tenantSlug: slug } = claimed;
  assertFields({ tenant_uuid: tenantNameProblem(tenantUuid), tenant_slug: tenantNameProblem(slug) });
  const uuid = canonicalTenantUuid(tenantUuid);
  // The second look finds what this or another process has registered.
  for (let attempt = 1; attempt <= 2; attempt++) {
    const [row] = await findByUuid(sql, { uuid, slug });
    if (row !== undefined) {
      if (row.state === 'active' && row.knows_slug) return tenantOf(row);
      break;
    }
    await register(sql, { tenantUuid: uuid, tenantSlug: slug });
  }
  throw storageError('tenant_mismatch', 'The uuid and the slug do not belong to one tenant.');
}
