import { storageError } from '@coffer/storage-core';
import type { BucketChoice, BucketResolver, CallContext, TenantContext } from '@coffer/storage-core';

import { bucketNameFor, patternProblem } from './bucket-name.ts';

/** How a deployment distributes its tenants over buckets. */
export interface BucketPolicy {
  /** Give each tenant its own bucket. */
  readonly multiTenancy: boolean;
  /** Pattern for the names of tenants' buckets, with `{tenant_slug}` or `{tenant_uuid}`. */
  readonly pattern: string;
  /** Bucket for calls without a tenant when `multiTenancy` is on. */
  readonly sharedBucket?: string;
  /** Bucket for all calls when `multiTenancy` is off. */
  readonly defaultBucket?: string;
  /** Refuse calls that name neither a tenant nor a bucket. */
  readonly requireTenantContext: boolean;
}

/**
 * Which bucket a call goes to, and why: the one it names, else the tenant's, else the shared or the default one.
 * @param request.explicit named by the caller, who has checked that this is allowed
 * @param request.mapped the tenant's recorded primary bucket, if any; takes precedence over the pattern
 * @throws tenant_context_required, storage_not_configured, and what `bucketNameFor` throws
 */
export function chooseBucket(
  policy: BucketPolicy,
  request: { readonly explicit?: string | undefined; readonly tenant?: TenantContext | undefined; readonly mapped?: string | undefined },
): BucketChoice {
  const { explicit, tenant, mapped } = request;
  if (explicit !== undefined) return { bucket: explicit, because: 'explicit' };
  if (policy.requireTenantContext && tenant === undefined) {
    throw storageError(
      'tenant_context_required',
      'This deployment requires a tenant: name one, with X-Tenant-ID, TENANT_ID or a tenantContext.',
    );
  }
  if (!policy.multiTenancy) {
    if (policy.defaultBucket !== undefined) return { bucket: policy.defaultBucket, because: 'default' };
    throw storageError(
      'storage_not_configured',
      'No bucket was named and no default bucket is configured; set STORAGE_BUCKET or, in code, defaultBucket.',
    );
  }
  if (tenant !== undefined) {
    if (mapped !== undefined) return { bucket: mapped, because: 'tenant_mapping' };
    return { bucket: bucketNameFor(policy.pattern, tenant, reservedBuckets(policy)), because: 'tenant_pattern' };
  }
  if (policy.sharedBucket !== undefined) return { bucket: policy.sharedBucket, because: 'shared' };
  throw storageError(
    'storage_not_configured',
    'The request has no tenant and no shared bucket is configured; set STORAGE_SHARED_BUCKET or, in code, sharedBucket.',
  );
}

/** The buckets that cannot belong to a tenant. */
export function reservedBuckets(policy: Pick<BucketPolicy, 'sharedBucket' | 'defaultBucket'>): readonly string[] {
  return [policy.sharedBucket, policy.defaultBucket].filter((name) => name !== undefined);
}

/**
 * `chooseBucket` as the `resolveBucket` of a StorageService.
 * @param mappedBucket returns the bucket recorded for a tenant, if there is a record
 * @throws storage_not_configured at once for a pattern that `patternProblem` refuses
 */
export function tenantBucketResolver(
  policy: BucketPolicy,
  mappedBucket?: (tenant: TenantContext, ctx?: CallContext) => Promise<string | undefined>,
): BucketResolver {
  const problem = patternProblem(policy.pattern);
  if (problem !== undefined) throw storageError('storage_not_configured', problem);
  return async ({ bucket, tenant }, ctx) => {
    const needsMapping = policy.multiTenancy && bucket === undefined && tenant !== undefined;
    const mapped = needsMapping ? await mappedBucket?.(tenant, ctx) : undefined;
    return chooseBucket(policy, { explicit: bucket, tenant, mapped });
  };
}
