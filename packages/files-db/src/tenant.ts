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

/** A tenant to register. */
export interface NewTenant {
  /** The identity: 1 to 128 characters; real UUIDs are kept in lower case. */
  readonly tenantUuid: string;
  /** 1 to 128 characters; one that was ever another tenant's is taken. */
  readonly tenantSlug: string;
  /** Default null: no limit. */
  readonly quotaBytes?: number | null | undefined;
}

/** What of a tenant is changed; what is left out stays. */
export interface TenantChanges {
  /** 1 to 128 characters; one that was ever another tenant's is taken. */
  readonly tenantSlug?: string | undefined;
  /** null takes the limit away. */
  readonly quotaBytes?: number | null | undefined;
}

/** One page of tenants, in the order of their uuids. */
export interface TenantPage {
  readonly tenants: readonly Tenant[];
  /** null on the last page. */
  readonly nextCursor: string | null;
}

/** What a tenant stores, and may. */
export interface TenantUsage {
  /** Bytes of available files. */
  readonly bytes: number;
  /** Number of available files. */
  readonly files: number;
  /** null: no limit. */
  readonly quotaBytes: number | null;
}
