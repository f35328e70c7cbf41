import type { CallContext, TenantContext } from './context.ts';
import { storageError } from './errors.ts';

/** What a call says about the bucket it is for. */
export interface BucketRequest {
  /** Named by the caller. */
  readonly bucket?: string | undefined;
  readonly tenant?: TenantContext | undefined;
}

/** The chosen bucket and the reason, for logs and `--explain`. */
export interface BucketChoice {
  readonly bucket: string;
  /** `explicit`: named by the caller; `tenant_mapping`: assigned to the tenant; `tenant_pattern`: derived from the tenant's name. */
  readonly because: 'explicit' | 'tenant_mapping' | 'tenant_pattern' | 'shared' | 'default';
}

/** Decides which bucket a call goes to. `@coffer/tenancy` has a resolver for one bucket per tenant. */
export type BucketResolver = (request: BucketRequest, ctx?: CallContext) => BucketChoice | Promise<BucketChoice>;

/** The explicit bucket, else the default one. With neither, the resolver throws storage_not_configured. */
export function defaultBucketResolver(defaultBucket: string | undefined): BucketResolver {
  return ({ bucket }) => {
    if (bucket !== undefined) return { bucket, because: 'explicit' };
    if (defaultBucket !== undefined) return { bucket: defaultBucket, because: 'default' };
    throw storageError(
      'storage_not_configured',
      'No bucket was named and no default bucket is configured; set STORAGE_BUCKET or, in code, defaultBucket.',
    );
  };
}
