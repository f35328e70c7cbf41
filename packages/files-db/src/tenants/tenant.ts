/** A registered tenant. */
export interface Tenant {
  /** The identity. */
  readonly tenantUuid: string;
  /** The readable name; may change. */
  readonly tenantSlug: string;
  /** The primary bucket, which takes uploads, comes first. Empty until first use. */
  readonly buckets: readonly string[];
  /** Bytes; null: no limit. */
  readonly quotaBytes: number | null;
  readonly createdAt: Date;
}

/** A tenant to register. */
export interface NewTenant {
  /** The identity: 1 to 128 characters; real UUIDs are kept in lower case. */
  readonly tenantUuid: string;
  /** 1 to 128 characters. A slug that was ever another tenant's is taken. */
  readonly tenantSlug: string;
  /** Bytes. Default null: no limit. */
  readonly quotaBytes?: number | null | undefined;
}

/** Changes to a tenant; what is left out stays as it is. */
export interface TenantChanges {
  /** 1 to 128 characters. A slug that was ever another tenant's is taken. */
  readonly tenantSlug?: string | undefined;
  /** Bytes; null removes the limit. */
  readonly quotaBytes?: number | null | undefined;
}

/** One page of tenants, ordered by uuid. */
export interface TenantPage {
  readonly tenants: readonly Tenant[];
  /** null on the last page. */
  readonly nextCursor: string | null;
}

/** What a tenant stores, and its quota. */
export interface TenantUsage {
  /** Bytes of available files. */
  readonly bytes: number;
  /** Number of available files. */
  readonly files: number;
  /** Bytes; null: no limit. */
  readonly quotaBytes: number | null;
}
