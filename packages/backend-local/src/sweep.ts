import type { CallContext, SweepReport } from '@coffer/storage-core';

import type { BlobAddress } from './blob-store.ts';
import type { Store } from './store.ts';

// Blobs looked up or taken away in one call: about a millisecond.
const batchSize = 500;

/**
 * Removes uploads of dead processes, bytes that no object refers to, and empty directories of deleted buckets. Such bytes remain when
 * a process is killed between placing them and committing their row, or between committing a newer row and removing them.
 */
export async function sweep(
  store: Store,
  options: { readonly olderThan: number; readonly dryRun?: boolean; readonly bucket?: string },
  ctx: CallContext,
): Promise<SweepReport> {
  // The bucket of an unfinished upload is unknown.
  let { removed, bytes } = options.bucket === undefined ? await store.temp.removeAbandoned(options) : { removed: 0, bytes: 0 };
  const before = Date.now() - options.olderThan * 1000;
  for (const bucket of await store.blobs.buckets()) {
    if (options.bucket !== undefined && bucket !== options.bucket) continue;
    for (const shard of await store.blobs.shards(bucket)) {
      const blobs = await store.blobs.blobs(bucket, shard);
      for (let first = 0; first < blobs.length; first += batchSize) {
        ctx.signal?.throwIfAborted();
        const old = await findOldUnowned(store, bucket, blobs.slice(first, first + batchSize), before);
        if (old.length === 0) continue;
        const swept = options.dryRun === true ? old : await removeUnowned(store, old);
        removed += swept.length;
        bytes += swept.reduce((sum, { size }) => sum + size, 0);
      }
    }
    if (options.dryRun !== true && (await store.buckets.idOf(bucket)) === undefined) await store.blobs.removeBucket(bucket);
  }
  return { removed, bytes };
}

/** The blobs among these that no object refers to, and that were placed up to `before`, in milliseconds. */
async function findOldUnowned(
  store: Store,
  bucket: string,
  blobs: readonly string[],
  before: number,
): Promise<readonly (BlobAddress & { readonly size: number })[]> {
  const unowned = await store.objects.unowned(blobs);
  return unowned.flatMap((blob) => {
    const stats = store.blobs.statOf({ bucket, blob });
    return stats === undefined || stats.placed > before ? [] : [{ bucket, blob, size: stats.size }];
  });
}

/**
 * Bytes may be about to get their row. Under the lock that a commit needs, they either have it or are moved away, which the commit
 * then notices. Freeing them, the slow part, comes afterwards.
 */
async function removeUnowned<B extends BlobAddress>(store: Store, candidates: readonly B[]): Promise<readonly B[]> {
  await store.index.durable(); // the change that left them unowned may not be: a power loss would bring their rows back
  await store.temp.prepare();
  const moved = new Map<B, string>();
  await store.objects.takeUnowned(candidates, (candidate) => {
    const path = store.blobs.moveToTemp(candidate);
    if (path !== undefined) moved.set(candidate, path);
  });
  await Promise.all([...moved.values()].map((path) => store.temp.discard(path)));
  return [...moved.keys()];
}
