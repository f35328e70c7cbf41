import { hasCode, isStorageError, storageError } from '@coffer/storage-core';
import type { CallContext, StorageError, StorageErrorCode } from '@coffer/storage-core';

import { bulkAtOnce } from './bulk-request.ts';
import { inParallel } from './concurrency.ts';
import { wasInDoubt } from './in-doubt.ts';
import { causeStatus } from './provider-error.ts';
import { batchesOf, deleteBatch, deleteObject, isPlainInXml } from './remove.ts';
import type { Store } from './store.ts';
import type { ObjectVersion } from './transport.ts';
import { abortUpload } from './upload/multipart.ts';
import { openUploads } from './open-uploads.ts';

// A server may be late to report a bucket as empty, or show keys only once others are gone.
const maxIdleRounds = 3;
/** Each round by key leaves delete markers. If removing those brings the object back, that is no progress. */
const maxRoundsByKey = 3;

/** Deletes open uploads, objects, versions and delete markers, again and again until the server lets the bucket go. */
export async function deleteBucketByForce(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  let idleRounds = 0;
  let roundsByKey = 0;
  let uploadsBefore = '';
  for (let round = 1; ; round++) {
    const uploads = await removeUploads(store, bucket, ctx);
    // Aborted already: they are listed where the abort does not reach, such as in another zone of Ceph behind the same load balancer.
    let removed = uploads.names === uploadsBefore ? 0 : uploads.removed;
    uploadsBefore = uploads.names;
    // The first round looks only whether it is permitted to delete the bucket: one that has to stay keeps its objects.
    if (round > 1) removed += await removeVersions(store, bucket, ctx);
    try {
      return await deleteEmptyBucket(store, bucket, ctx);
    } catch (error) {
      const isDisturbed = causeStatus(error) === 499; // MinIO, if another call is deleting the bucket at the same time
      if (!isDisturbed && !hasCode(error, 'bucket_not_empty')) throw error;
      if (round === 1) continue;
      idleRounds = removed === 0 ? idleRounds + 1 : 0;
      if (idleRounds >= maxIdleRounds) throw error;
      if (idleRounds !== 1 || roundsByKey === maxRoundsByKey) continue;
      roundsByKey++;
      await removeObjects(store, bucket, ctx);
      await removeMarkers(store, bucket, ctx);
    }
  }
}

/**
 * Deletes by the keys in the list of objects. The list of versions may lack some or report others, as SeaweedFS does for keys that XML
 * cannot hold. Where a batch changes nothing, they are deleted one by one: on JuiceFS, a batch leaves the folders of what it deletes, lists
 * name them as objects, and no batch deletes them.
 */
async function removeObjects(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  let isOneByOne = false;
  for (let before = ''; ;) {
    const { objects } = await store.transport.list(bucket, {}, ctx);
    const names = JSON.stringify(objects.map(({ key }) => key));
    if (objects.length === 0 || (names === before && isOneByOne)) return;
    isOneByOne = names === before;
    before = names;
    if (isOneByOne) await inParallel(objects, 4, ({ key }) => deleteObject(store, { bucket, key }, ctx));
    else await removeListed(store, bucket, objects, ctx);
  }
}

/** SeaweedFS keeps delete markers without a version until they are overwritten, which needs a bucket that keeps no versions. */
async function removeMarkers(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  for (let before = ''; ;) {
    const left = (await versionsOf(store, bucket, ctx)).filter(({ versionId }) => versionId === 'null');
    const names = JSON.stringify(left);
    if (left.length === 0 || names === before) return;
    if (before === '' && !(await suspendVersions(store, bucket, ctx))) return; // new objects are deleted without versions
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
    if (!hasCode(error, 'no_such_bucket') || !wasInDoubt(error)) throw error; // else a lost first attempt deleted it
  }
}

async function removeUploads(
  store: Store,
  bucket: string,
  ctx: CallContext,
): Promise<{ readonly removed: number; readonly names: string }> {
  let removed = 0;
  let names = ''; // of the first page
  // The server may still have what it cannot list; then it does not let the bucket go.
  for await (const uploads of openUploads(store, bucket, ctx, ['not_supported', 'invalid_argument'])) {
    await inParallel(uploads, 4, (upload) => abortUpload(store, upload, ctx));
    if (removed === 0) names = JSON.stringify(uploads);
    removed += uploads.length;
  }
  return { removed, names };
}

/** Deletes objects, versions and delete markers of keys that begin with `prefix`. @returns how many were removed */
export async function removeVersions(store: Store, bucket: string, ctx: CallContext, prefix?: string): Promise<number> {
  let removed = 0;
  let before = { names: '', removed: 0 };
  for (;;) {
    // Always read the first page: the previous one is gone.
    const objects = await versionsOf(store, bucket, ctx, prefix);
    const names = JSON.stringify(objects);
    if (objects.length === 0) return removed;
    // If the list shows a key in altered form, the delete misses it, and the same page would come for ever.
    if (names === before.names) return before.removed;
    before = { names, removed };
    const { versions = [], markers = [] } = Object.groupBy(objects, ({ isMarker }) => (isMarker === true ? 'markers' : 'versions'));
    await removeListed(store, bucket, versions, ctx);
    // A version under object lock has failed that. It stays deleted: no lock holds the marker above it. The versions below the last marker
    // may be on the next page.
    const covered = markers.filter(({ key }) => key !== markers.at(-1)?.key);
    const due = versions.length + covered.length > 0 ? covered : markers;
    await removeListed(store, bucket, due, ctx);
    removed += versions.length + due.length;
  }
}

/** If a server has no versions, the objects are all there is. A server that ignores the prefix lists keys that must not be removed. */
async function versionsOf(store: Store, bucket: string, ctx: CallContext, prefix?: string): Promise<readonly ObjectVersion[]> {
  const listed = await store.administration.listVersions(bucket, ctx, prefix).catch(async (error: unknown) => {
    if (!hasCode(error, 'not_supported')) throw error;
    const { objects } = await store.transport.list(bucket, prefix === undefined ? {} : { prefix }, ctx);
    return objects.map(({ key }): ObjectVersion => ({ key }));
  });
  return listed.filter(({ key }) => key.startsWith(prefix ?? ''));
}

async function removeListed(store: Store, bucket: string, listed: readonly ObjectVersion[], ctx: CallContext): Promise<void> {
  // Batch also keys whose outer spaces might get lost, since all keys go anyway: asked to delete a single key, some servers leave a delete
  // marker without a version.
  const { together = [], alone = [] } = Object.groupBy(listed, ({ key }) => (isPlainInXml(key.trim()) ? 'together' : 'alone'));
  const [failure] = (
    await inParallel(
      batchesOf(together),
      () => bulkAtOnce(store, 4),
      (batch) => deleteBatch(store, bucket, batch, ctx),
    )
  ).flat();
  if (failure !== undefined) throw notDeleted(bucket, failure.code);
  await inParallel(alone, 4, ({ key, versionId }) => deleteObject(store, { bucket, key }, ctx, versionId));
}

/** MinIO calls it an invalid request to delete a version under object lock. */
function notDeleted(bucket: string, code: StorageErrorCode): StorageError {
  const what = `Not every object of the bucket "${bucket}" could be deleted`;
  if (code !== 'access_denied' && code !== 'invalid_argument') return storageError(code, `${what} (${code}).`);
  const why = 'object lock may protect some of them, or the credentials may lack the permission s3:DeleteObject or s3:DeleteObjectVersion';
  return storageError('access_denied', `${what}; ${why}.`);
}
