/** A registered tenant. */
export interface Tenant {
  /** The identity. */
  readonly tenantUuid: string;
  /** The readable name; may change. */
  readonly tenantSlug: string;
  /** Its buckets, the primary one, which takes uploads, first. Empty until the first use. */
  readonly buckets: readonly string[];
  /** Bytes; null: no limit. */
  readonly quotaBytes: number | null;
  readonly createdAt: Date;
}

export interface NewTenant {
  readonly tenantUuid: string;
  readonly tenantSlug: string;
  readonly quotaBytes?: number | null | undefined;
}

export interface TenantChanges {
  readonly tenantSlug?: string | undefined;
  /** null takes the limit away. */
  readonly quotaBytes?: number | null | undefined;
}

export interface TenantPage {
  readonly tenants: readonly Tenant[];
  readonly nextCursor: string | null;
}

export interface TenantUsage {
  /** Bytes of available files. */
  readonly bytes: number;
  /** Number of available files. */
  readonly files: number;
  readonly quotaBytes: number | null;
}
