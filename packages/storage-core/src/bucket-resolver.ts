import type { TenantContext } from './context.ts';
import { storageError } from './errors.ts';

/** What a call says of the bucket it is for. */
export interface BucketRequest {
  /** Named by the caller. */
  readonly bucket?: string | undefined;
  readonly tenant?: TenantContext | undefined;
}

/** The bucket and the reason, for logs and `--explain`. */
export interface BucketChoice {
  readonly bucket: string;
  /** `explicit`: the caller named it; `tenant_mapping`: the tenant has it; `tenant_pattern`: the tenant's name leads to it. */
  readonly because: 'explicit' | 'tenant_mapping' | 'tenant_pattern' | 'shared' | 'default';
}

/** Decides which bucket a call goes to. `@coffer/tenancy` has the one for bucket-per-tenant. */
export type BucketResolver = (request: BucketRequest) => BucketChoice | Promise<BucketChoice>;

/** Explicit bucket, else the default one. */
export function defaultBucketResolver(defaultBucket: string | undefined): BucketResolver {
  return ({ bucket }) => {
    if (bucket !== undefined) return { bucket, because: 'explicit' };
    if (defaultBucket !== undefined) return { bucket: defaultBucket, because: 'default' };
    throw storageError('storage_not_configured', 'No bucket was named and no default bucket is configured; set STORAGE_BUCKET.');
  };
}
