import { storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import { databaseError } from './database-error.ts';
import { assertFields, bytesProblem, tenantNameProblem } from './field-checks.ts';
import { statement } from './statement.ts';
import type { NewTenant, Tenant } from './tenant.ts';

export interface TenantRow {
  readonly tenant_uuid: string;
  readonly tenant_slug: string;
  readonly state: 'active' | 'deleting' | 'deleted';
  readonly created_at: string;
  readonly quota_bytes: string | null;
  /** JSON array of names. */
  readonly buckets: string;
}

const columns = `t.tenant_uuid, t.tenant_slug, t.state, (extract(epoch from t.created_at) * 1000)::int8 as created_at, u.quota_bytes,
  coalesce((select json_agg(b.bucket order by b.position, b.bucket) from tenant_buckets b where b.tenant_uuid = t.tenant_uuid), '[]')::text as buckets`;
const source = 'tenants t left join tenant_usage u on u.tenant_uuid = t.tenant_uuid';

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

/** Deleted tenants included; `knows_slug`: whether the slug is or was this tenant's. */
export const findByUuid = statement<{ readonly uuid: string; readonly slug: string | null }, TenantRow & { readonly knows_slug: boolean }>(`
  select ${columns}, exists (select from tenant_slugs s where s.slug = {slug}::text and s.tenant_uuid = t.tenant_uuid) as knows_slug
  from ${source} where t.tenant_uuid = {uuid}::text`);

/** By uuid, then by present slug. */
export const findById = statement<{ readonly id: string }, TenantRow>(`
  select ${columns} from ${source}
  where (t.tenant_uuid = {id}::text or t.tenant_slug = {id}::text) and t.state <> 'deleted'
  order by t.tenant_uuid = {id}::text desc limit 1`);

/** In the order of uuids, after `after`. */
export const listTenants = statement<{ readonly after: string; readonly limit: number }, TenantRow>(`
  select ${columns} from ${source} where t.tenant_uuid > {after}::text and t.state <> 'deleted' order by t.tenant_uuid limit {limit}::int8`);

/** Gives a tenant a bucket that nobody has, as its last one; with `onlyFirst` only one that has none yet. */
export const claimBucket = statement<
  { readonly tenant: string; readonly bucket: string; readonly onlyFirst: boolean },
  { readonly bucket: string }
>(`
  insert into tenant_buckets (bucket, tenant_uuid, position)
  select {bucket}::text, {tenant}::text, coalesce(max(position) + 1, 0) from tenant_buckets where tenant_uuid = {tenant}::text
  having (count(*) = 0 or not {onlyFirst}::boolean) and exists (select from tenants where tenant_uuid = {tenant}::text and state = 'active')
  on conflict do nothing
  returning bucket`);

const insertTenant = statement<
  { readonly uuid: string; readonly slug: string; readonly quota: number | null },
  { readonly tenant_uuid: string }
>(`
  with tenant as (
    insert into tenants (tenant_uuid, tenant_slug)
    select {uuid}::text, {slug}::text where not exists (select from tenant_slugs where slug = {slug}::text)
    on conflict do nothing
    returning tenant_uuid, tenant_slug
  ), slug as (
    insert into tenant_slugs (slug, tenant_uuid) select tenant_slug, tenant_uuid from tenant
  ), usage as (
    insert into tenant_usage (tenant_uuid, quota_bytes) select tenant_uuid, {quota}::int8 from tenant
  )
  select tenant_uuid from tenant`);

/**
 * Registers a tenant unless its uuid or slug is, or ever was, taken.
 * @returns whether it was registered
 * @throws validation_failed
 */
export async function register(sql: Sql, tenant: NewTenant): Promise<boolean> {
  const { tenantUuid: uuid, tenantSlug: slug, quotaBytes = null } = tenant;
  assertFields({
    tenant_uuid: tenantNameProblem(uuid),
    tenant_slug: tenantNameProblem(slug),
    quota_bytes: quotaBytes === null ? undefined : bytesProblem(quotaBytes),
  });
  try {
    return (await insertTenant(sql, { uuid, slug, quota: quotaBytes })).length > 0;
  } catch (error) {
    if (isTaken(error)) return false; // the slug went to another tenant between the look and the insert
    throw error;
  }
}

/** Whether a statement failed for a key that exists: PostgreSQL's unique_violation. */
export function isTaken(error: unknown): boolean {
  const cause = databaseError(error) as { readonly code?: unknown } | undefined;
  return cause?.code === '23505';
}

/**
 * The tenant that a uuid and a slug speak for; registers it on first use.
 * @throws tenant_mismatch when they do not belong together, or belonged to a tenant that was deleted
 */
export async function resolveTenant(sql: Sql, claimed: TenantContext): Promise<Tenant> {
  const { tenantUuid: uuid, tenantSlug: slug } = claimed;
  assertFields({ tenant_uuid: tenantNameProblem(uuid), tenant_slug: tenantNameProblem(slug) });
  // The second look finds what another process registered meanwhile.
  for (let look = 1; look <= 2; look++) {
    const [row] = await findByUuid(sql, { uuid, slug });
    if (row !== undefined) {
      if (row.state === 'active' && row.knows_slug) return tenantOf(row);
      break;
    }
    await register(sql, { tenantUuid: uuid, tenantSlug: slug });
  }
  throw storageError('tenant_mismatch', 'The uuid and the slug do not belong to one tenant.');
}
