import { hasCode, isStorageError, noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { inParallel } from './call.ts';
import { createBucket } from './create-bucket.ts';
import { deleteBucketByForce, removeVersions } from './empty-bucket.ts';
import { deleteObject } from './remove.ts';
import { sandboxName, sandboxPrefix } from './sandbox-name.ts';
import type { Store } from './store.ts';

const parallel = 4;

/** Where an endpoint is tried out: a bucket of its own, or a prefix of its own in a bucket that is there. */
export interface Sandbox {
  readonly bucket: string;
  /** Whether the bucket, too, may be tried out. */
  readonly isOwn: boolean;
  at(name: string): ObjectAddress;
  close(): Promise<void>;
}

/** Requires what the credentials may do: to create a bucket, else to write into `bucket`. */
export async function openSandbox(store: Store, bucket: string): Promise<Sandbox> {
  const own = sandboxName();
  const used = new Set<string>();
  if (await isCreated(store, own)) {
    return {
      bucket: own,
      isOwn: true,
      at(key) {
        used.add(key);
        return { bucket: own, key };
      },
      async close() {
        // By name first: not every server lists every key as it is.
        await inParallel([...used], parallel, (key) => deleteObject(store, { bucket: own, key }, noContext, 'null').catch(() => {}));
        await deleteBucketByForce(store, own, noContext);
      },
    };
  }
  const prefix = sandboxPrefix(own);
  await store.transport.headBucket(bucket, noContext);
  return {
    bucket,
    isOwn: false,
    at(name) {
      used.add(prefix + name);
      return { bucket, key: prefix + name };
    },
    async close() {
      // Some of such keys may be refused.
      await inParallel([...used], parallel, (key) => deleteObject(store, { bucket, key }, noContext).catch(() => {}));
      // What a bucket that keeps versions has kept. Who may not see it leaves it.
      await removeVersions(store, bucket, noContext, prefix).catch(() => {});
    },
  };
}

async function isCreated(store: Store, bucket: string): Promise<boolean> {
  try {
    await createBucket(store, bucket, {}, noContext);
    return true;
  } catch (error) {
    // Too many buckets, not allowed, not that name: the reasons are many, and the other way is open.
    if (isStorageError(error) && !error.retryable && !hasCode(error, 'internal_error')) return false;
    throw error;
  }
}
