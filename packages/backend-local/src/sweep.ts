import type { CallContext, SweepReport } from '@coffer/storage-core';

import type { BlobAddress } from './blob-store.ts';
import type { Store } from './store.ts';

// Blobs that are looked up, or taken away, in one go: a millisecond or so.
const batch = 500;

/**
 * Removes uploads of dead processes, and bytes that no object consists of: a process was killed between placing them and
 * committing their row, or between committing a newer row and removing them. Likewise the empty directories of buckets.
 */
export async function sweep(
  store: Store,
  options: { readonly olderThan: number; readonly dryRun?: boolean; readonly bucket?: string },
  ctx: CallContext,
): Promise<SweepReport> {
  // Of an upload nobody knows the bucket.
  let { removed, bytes } = options.bucket === undefined ? await store.temp.removeAbandoned(options) : { removed: 0, bytes: 0 };
  const before = Date.now() - options.olderThan * 1000;
  for (const bucket of await store.blobs.buckets()) {
    if (options.bucket !== undefined && bucket !== options.bucket) continue;
    for (const shard of await store.blobs.shards(bucket)) {
      const blobs = await store.blobs.blobs(bucket, shard);
      for (let first = 0; first < blobs.length; first += batch) {
        ctx.signal?.throwIfAborted();
        const unowned = await store.objects.unowned(blobs.slice(first, first + batch));
        const old = unowned.flatMap((blob) => {
          const stats = store.blobs.statOf({ bucket, blob });
          return stats === undefined || stats.placed > before ? [] : [{ bucket, blob, size: stats.size }];
        });
        if (old.length === 0) continue;
        const gone = options.dryRun === true ? old : await takeAway(store, old);
        removed += gone.length;
        bytes += gone.reduce((sum, { size }) => sum + size, 0);
      }
    }
    if (options.dryRun !== true && (await store.buckets.idOf(bucket)) === undefined) await store.blobs.removeBucket(bucket);
  }
  return { removed, bytes };
}

/**
 * Bytes may be about to get their row. Under the lock that a commit needs they either have it or lose their place, which
 * the commit then notices; the slow part, freeing them, comes after.
 */
async function takeAway<B extends BlobAddress>(store: Store, candidates: readonly B[]): Promise<readonly B[]> {
  await store.temp.prepare();
  const taken = new Map<B, string>();
  await store.objects.takeUnowned(candidates, (candidate) => {
    const path = store.blobs.takeAway(candidate);
    if (path !== undefined) taken.set(candidate, path);
  });
  await Promise.all([...taken.values()].map((path) => store.temp.discard(path)));
  return [...taken.keys()];
}
