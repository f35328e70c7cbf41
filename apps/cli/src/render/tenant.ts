import type { Tenant } from '@coffer/files-db';

import { fields, table } from './table.ts';
import { bytesText } from './units.ts';

/** As the API has it. */
export function tenantJson({ tenantUuid, tenantSlug, buckets, quotaBytes, createdAt }: Tenant): object {
  return { tenant_uuid: tenantUuid, tenant_slug: tenantSlug, buckets, quota_bytes: quotaBytes, created_at: createdAt.toISOString() };
}

export function tenantTable(tenants: readonly Tenant[]): string {
  return table(['UUID', 'SLUG', 'BUCKETS', 'QUOTA', 'CREATED'], tenants.map(cells));
}

export function tenantFields(tenant: Tenant): string {
  const [uuid = '', slug = '', buckets = '', quota = '', created = ''] = cells(tenant);
  return fields([
    ['uuid', uuid],
    ['slug', slug],
    ['buckets', buckets],
    ['quota', quota],
    ['created', created],
  ]);
}

export function quotaText(quotaBytes: number | null): string {
  return quotaBytes === null ? 'none' : bytesText(quotaBytes);
}

function cells({ tenantUuid, tenantSlug, buckets, quotaBytes, createdAt }: Tenant): readonly string[] {
  return [tenantUuid, tenantSlug, buckets.join(', ') || '-', quotaText(quotaBytes), createdAt.toISOString()];
}
