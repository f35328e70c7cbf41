import { hasCode, isStorageError, noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { inParallel } from '../concurrency.ts';
import { createBucket } from '../create-bucket.ts';
import { deleteBucketByForce, removeVersions } from '../empty-bucket.ts';
import { deleteObject } from '../remove.ts';
import type { Store } from '../store.ts';
import { sandboxName, sandboxPrefix } from './sandbox-name.ts';

const parallel = 8;

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
  const name = sandboxName();
  const isOwn = await isCreated(store, name);
  if (!isOwn) await store.transport.headBucket(bucket, noContext);
  const place = isOwn ? { bucket: name, prefix: '' } : { bucket, prefix: sandboxPrefix(name) };
  const used = new Map<string, ObjectAddress>();
  return {
    bucket: place.bucket,
    isOwn,
    at(key) {
      const at = { bucket: place.bucket, key: place.prefix + key };
      used.set(key, at);
      return at;
    },
    async close() {
      // By name first: not every server lists every key as it is. Some may be refused.
      const versionId = isOwn ? 'null' : undefined;
      await inParallel([...used.values()], parallel, (at) => deleteObject(store, at, noContext, versionId).catch(() => {}));
      if (isOwn) return deleteBucketByForce(store, place.bucket, noContext);
      // What a bucket that keeps versions has kept. Who may not see it leaves it.
      await removeVersions(store, bucket, noContext, place.prefix).catch(() => {});
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
