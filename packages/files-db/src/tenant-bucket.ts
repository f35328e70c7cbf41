import { hasCode, storageError } from '@coffer/storage-core';
import type { CallContext, TenantContext } from '@coffer/storage-core';

import type { FileParts } from './file-parts.ts';

/** How many times a bucket is decided for one file when each turns out not to be the tenant's any more. */
const maxAttempts = 3;

/** Where a new file goes. */
export interface FileBucket {
  readonly bucket: string;
  /** Whether it is the tenant's by a record, which has to be there still when the file's space is reserved. */
  readonly onRecord: boolean;
}

/** The bucket for a new file, as far as this process knows. @throws as `StorageService.resolveBucket` does */
export async function bucketForFile(
  { storage, tenants }: FileParts,
  tenant: TenantContext | undefined,
  ctx: CallContext,
): Promise<FileBucket> {
  const { bucket, because } = await storage.resolveBucket({ tenant }, ctx);
  return { bucket, onRecord: tenants !== undefined && because === 'tenant_mapping' };
}

/**
 * Runs `reserve` for that bucket. What this process remembers of it is out of date when another process has deleted it or given it away: the
 * reservation finds out, in a statement that runs anyway, and `reserve` runs again for the bucket that is decided anew.
 * @param reserve resolves to undefined when the bucket is not the tenant's any more; may throw no_such_bucket
 * @throws tenant_conflict, and what `reserve` does
 */
export async function inCurrentBucket<T>(
  parts: FileParts,
  file: { readonly tenant: TenantContext | undefined; readonly first: FileBucket },
  reserve: (bucket: FileBucket) => Promise<T | undefined>,
  ctx: CallContext,
): Promise<T> {
  const { tenant } = file;
  let chosen = file.first;
  for (let attempt = 1; ; attempt++) {
    const reserved = await reserve(chosen).catch((error: unknown) => {
      // Some providers do not sign for a missing bucket. If it is missing the second time, nobody creates it.
      if (attempt > 1 || !chosen.onRecord || !hasCode(error, 'no_such_bucket')) throw error;
      return undefined;
    });
    if (reserved !== undefined) return reserved;
    const { bucket } = chosen;
    if (attempt >= maxAttempts) throw storageError('tenant_conflict', `The bucket "${bucket}" no longer belongs to the tenant.`);
    if (tenant !== undefined) parts.tenants?.forget(tenant.tenantUuid);
    await parts.storage.bucketExists(bucket, ctx).catch(() => {}); // the storage then no longer counts on a bucket that is gone
    chosen = await bucketForFile(parts, tenant, ctx);
  }
}
