import { hasCode } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { inParallel } from '../concurrency.ts';
import { deleteBucketByForce, deleteEmptyBucket, removeVersions } from '../empty-bucket.ts';
import { keyClasses } from '../key-classes.ts';
import { deleteObject } from '../remove.ts';
import type { Store } from '../store.ts';
import type { ListedBucket } from '../transport.ts';
import { isSandbox, sandboxPrefixes, sandboxPrefixOf } from './sandbox-name.ts';

/** Milliseconds that a probe may take; until then it may still be running. */
const longestProbe = 3_600_000;

export interface Sweep {
  /** Milliseconds since 1970, by the server's clock as far as it is known by then. Anything younger stays. */
  readonly before: () => number;
  readonly dryRun: boolean;
}

/** Whether a bucket was left by a process that ended during its probe. If the server reports no date, the bucket may still be in use. */
export function isAbandoned(store: Store, { name, createdAt }: ListedBucket, before: number): boolean {
  return isSandbox(name) && createdAt.getTime() > 0 && createdAt.getTime() <= cutoff(store, before);
}

/** @returns whether the bucket is gone; one that may not be deleted does not stop the sweep */
export function removeSandbox(store: Store, bucket: string, ctx: CallContext): Promise<boolean> {
  return unlessInaccessible(false, async () => {
    await deleteBucketByForce(store, bucket, ctx).catch(async (error: unknown) => {
      if (!hasCode(error, 'bucket_not_empty')) throw error;
      await removeUnlisted(store, bucket, ctx);
    });
    return true;
  });
}

/** Deletes keys that no list shows: such keys are part of the probe. */
async function removeUnlisted(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  const keys = Object.values(keyClasses).flatMap(({ twins }) => twins);
  await inParallel(keys, 4, (key) => deleteObject(store, { bucket, key }, ctx, 'null').catch(() => {})); // some are refused
  await deleteEmptyBucket(store, bucket, ctx);
}

/** Removes what such processes left in a bucket that others use, if it can be listed. @returns the number of objects */
export async function sweepSandboxesIn(store: Store, bucket: string, { before, dryRun }: Sweep, ctx: CallContext): Promise<number> {
  if (store.settings.isAws) return 0; // AWS is not probed, and charges for each list
  return unlessInaccessible(0, async () => {
    // The first page is enough: there will be another sweep.
    const { objects } = await store.transport.list(bucket, { prefix: sandboxPrefixes }, ctx);
    const ages = Map.groupBy(objects, ({ key }) => sandboxPrefixOf(key));
    let removed = 0;
    for (const [prefix, all] of ages) {
      const isOld = all.every(({ lastModified }) => lastModified.getTime() <= cutoff(store, before()));
      if (prefix === undefined || !isOld) continue;
      if (!dryRun) await removeAll(store, bucket, { prefix, keys: all.map(({ key }) => key) }, ctx);
      removed += all.length;
    }
    return removed;
  });
}

/** Credentials that may not see or remove the noncurrent versions of the bucket leave them. */
async function removeAll(
  store: Store,
  bucket: string,
  { prefix, keys }: { readonly prefix: string; readonly keys: readonly string[] },
  ctx: CallContext,
): Promise<void> {
  try {
    await removeVersions(store, bucket, ctx, prefix);
  } catch (error) {
    if (!hasCode(error, 'access_denied')) throw error;
    await inParallel(keys, 4, (key) => deleteObject(store, { bucket, key }, ctx));
  }
}

function cutoff({ connection }: Store, before: number): number {
  return Math.min(before, connection.clock.now() - longestProbe);
}

async function unlessInaccessible<T>(kept: T, removing: () => Promise<T>): Promise<T> {
  try {
    return await removing();
  } catch (error) {
    if (hasCode(error, 'no_such_bucket', 'access_denied', 'bucket_not_empty')) return kept;
    throw error;
  }
}
