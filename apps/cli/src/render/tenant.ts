import type { Tenant } from '@coffer/files-db';

import { fields, table } from './table.ts';
import { bytesText } from './units.ts';

/** In the shape that the API returns. */
export function tenantJson({ tenantUuid, tenantSlug, buckets, quotaBytes, createdAt }: Tenant): object {
  return { tenant_uuid: tenantUuid, tenant_slug: tenantSlug, buckets, quota_bytes: quotaBytes, created_at: createdAt.toISOString() };
}

export function tenantTable(tenants: readonly Tenant[]): string {
  return table(
    ['UUID', 'SLUG', 'BUCKETS', 'QUOTA', 'CREATED'],
    tenants.map((tenant) => Object.values(cells(tenant))),
  );
}

export function tenantFields(tenant: Tenant): string {
  return fields(cells(tenant));
}

export function quotaText(quotaBytes: number | null): string {
  return quotaBytes === null ? 'none' : bytesText(quotaBytes);
}

function cells({ tenantUuid, tenantSlug, buckets, quotaBytes, createdAt }: Tenant): Readonly<Record<string, string>> {
  return {
    uuid: tenantUuid,
    slug: tenantSlug,
    buckets: buckets.join(', ') || '-',
    quota: quotaText(quotaBytes),
    created: createdAt.toISOString(),
  };
}
