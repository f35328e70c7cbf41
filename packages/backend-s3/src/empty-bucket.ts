import { hasCode, isStorageError, storageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { inParallel } from './concurrency.ts';
import { wasInDoubt } from './doubt.ts';
import { causeStatus } from './provider-error.ts';
import { batchesOf, deleteBatch, deleteObject, isPlainInXml } from './remove.ts';
import type { Store } from './store.ts';
import type { ObjectVersion } from './transport.ts';
import { abortUpload } from './upload/multipart.ts';
import { openUploads } from './uploads.ts';

// A server may be late in telling that a bucket is empty, or show keys only once others are gone.
const idleRounds = 3;

/** Objects, versions, delete markers and open uploads go first, over and over until the server lets the bucket go. */
export async function deleteBucketByForce(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  for (let idle = 0, byName = 0; ;) {
    const removed = (await removeVersions(store, bucket, ctx)) + (await removeUploads(store, bucket, ctx));
    try {
      return await deleteEmptyBucket(store, bucket, ctx);
    } catch (error) {
      const isDisturbed = causeStatus(error) === 499; // MinIO, when another call deletes it at the same time
      if (!isDisturbed && !hasCode(error, 'bucket_not_empty')) throw error;
      idle = removed === 0 ? idle + 1 : 0;
      if (idle >= idleRounds) throw error;
      // Each leaves markers, whose removal is no progress where that shows the object again.
      if (idle !== 1 || ++byName > idleRounds) continue;
      await removeObjects(store, bucket, ctx);
      await removeMarkers(store, bucket, ctx);
    }
  }
}

/** By the names that the list of objects has: that of versions may lack some, or tell others, as SeaweedFS does what XML cannot hold. */
async function removeObjects(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  for (let before = ''; ;) {
    const { objects } = await store.transport.list(bucket, {}, ctx);
    const names = JSON.stringify(objects.map(({ key }) => key));
    if (objects.length === 0 || names === before) return;
    before = names;
    await removeListed(store, bucket, objects, ctx);
  }
}

/** SeaweedFS keeps delete markers that have no version until they are written over, which needs a bucket that keeps none. */
async function removeMarkers(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  for (let before = ''; ;) {
    const left = (await versionsOf(store, bucket, ctx)).filter(({ versionId }) => versionId === 'null');
    const names = JSON.stringify(left);
    if (left.length === 0 || names === before) return;
    if (before === '' && !(await suspendVersions(store, bucket, ctx))) return; // objects that came just now go without
    before = names;
    await inParallel(left, 4, async ({ key }) => {
      const at = { bucket, key };
      await store.transport.put(at, { kind: 'buffer', data: Buffer.of() }, { contentType: 'application/octet-stream' }, ctx);
      await deleteObject(store, at, ctx, 'null');
    });
  }
}

async function suspendVersions(store: Store, bucket: string, ctx: CallContext): Promise<boolean> {
  try {
    await store.administration.setVersioning(bucket, false, ctx);
    return true;
  } catch (error) {
    if (!isStorageError(error) || error.retryable) throw error;
    return false;
  }
}

export async function deleteEmptyBucket(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  try {
    await store.administration.deleteBucket(bucket, ctx);
  } catch (error) {
    if (!hasCode(error, 'no_such_bucket') || !wasInDoubt(error)) throw error; // else a first attempt deleted it, whose answer got lost
  }
}

async function removeUploads(store: Store, bucket: string, ctx: CallContext): Promise<number> {
  const uploads = await openUploads(store, bucket, ctx).catch(noneIfUnknown);
  await inParallel(uploads, 4, ({ at, uploadId }) => abortUpload(store, at, uploadId, ctx));
  return uploads.length;
}

/** Objects, versions and delete markers of keys that begin so. @returns how many were removed */
export async function removeVersions(store: Store, bucket: string, ctx: CallContext, prefix?: string): Promise<number> {
  let removed = 0;
  let before = '';
  for (;;) {
    // Always the first page: the one before is gone.
    const objects = await versionsOf(store, bucket, ctx, prefix);
    const names = JSON.stringify(objects);
    if (objects.length === 0) return removed;
    // A key that the list shows changed is not the one that is deleted: the same page would come for ever.
    if (names === before) return removed - objects.length;
    before = names;
    await removeListed(store, bucket, objects, ctx);
    removed += objects.length;
  }
}

/** Where a server knows no versions, objects are all that there is. What one lists that looks at no prefix is not for removal. */
async function versionsOf(store: Store, bucket: string, ctx: CallContext, prefix?: string): Promise<readonly ObjectVersion[]> {
  const listed = await store.administration.listVersions(bucket, ctx, prefix).catch(async (error: unknown) => {
    if (!hasCode(error, 'not_supported')) throw error;
    const { objects } = await store.transport.list(bucket, prefix === undefined ? {} : { prefix }, ctx);
    return objects.map(({ key }): ObjectVersion => ({ key }));
  });
  return listed.filter(({ key }) => key.startsWith(prefix ?? ''));
}

/** What a server cannot list, it may have all the same: then it does not let the bucket go. */
function noneIfUnknown(error: unknown): [] {
  if (hasCode(error, 'not_supported')) return [];
  throw error;
}

async function removeListed(store: Store, bucket: string, listed: readonly ObjectVersion[], ctx: CallContext): Promise<void> {
  // Together also where spaces might get lost, since all go: some servers leave a delete marker without a version if asked alone.
  const { together = [], alone = [] } = Object.groupBy(listed, ({ key }) => (isPlainInXml(key.trim()) ? 'together' : 'alone'));
  const [failure] = (await inParallel(batchesOf(together), 4, (batch) => deleteBatch(store, bucket, batch, ctx))).flat();
  if (failure !== undefined)
    throw storageError(failure.code, `Not every object of the bucket "${bucket}" could be deleted (${failure.code}).`);
  await inParallel(alone, 4, ({ key, versionId }) => deleteObject(store, { bucket, key }, ctx, versionId));
}
