import { hasCode, isStorageError, noContext } from '@coffer/storage-core';
import type { CallContext, ObjectAddress } from '@coffer/storage-core';

import { inParallel } from '../concurrency.ts';
import { createBucket } from '../create-bucket.ts';
import { deleteBucketByForce, deleteEmptyBucket, removeVersions } from '../empty-bucket.ts';
import { isAboutAccount } from '../provider-error.ts';
import { deleteObject } from '../remove.ts';
import type { Store } from '../store.ts';
import { answerTo } from './refusals.ts';
import type { Asked } from './refusals.ts';
import { sandboxName, sandboxPrefix } from './sandbox-name.ts';
import { write } from './writes.ts';

const parallel = 8;

/** Where an endpoint is probed: a bucket of its own, or a prefix of its own in an existing bucket. */
export interface Sandbox extends Asked {
  readonly bucket: string;
  /** Whether the bucket itself may be probed too. */
  readonly isOwn: boolean;
  /** @throws the signal's reason */
  at(name: string): ObjectAddress;
  /** Another address at each call. */
  next(name: string): ObjectAddress;
  /** Deletes all that has been written so far, but for one object. No versions may have been kept. */
  clear(kept: ObjectAddress): Promise<void>;
  close(): Promise<void>;
}

/** The credentials must be allowed to create a bucket, or else to write into `bucket`. */
export async function openSandbox(store: Store, bucket: string, { signal }: CallContext): Promise<Sandbox> {
  const name = sandboxName();
  const isOwn = await isCreated(store, name);
  if (!isOwn) await assertThere(store, bucket);
  const location = isOwn ? { bucket: name, prefix: '' } : { bucket, prefix: sandboxPrefix(name) };
  const used = new Map<string, ObjectAddress>();
  const deleteUsed = (versionId?: string, kept?: ObjectAddress): Promise<unknown> =>
    inParallel([...used], parallel, async ([key, at]) => {
      if (at === kept) return;
      await deleteObject(store, at, noContext, versionId).then(
        () => used.delete(key),
        () => {}, // some may be refused
      );
    });
  const addressOf = (key: string): ObjectAddress => {
    signal?.throwIfAborted();
    const at = { bucket: location.bucket, key: location.prefix + key };
    used.set(key, at);
    return at;
  };
  let last = 0;
  const next = (key: string): ObjectAddress => addressOf(`${key}-${++last}`);
  return {
    bucket: location.bucket,
    isOwn,
    signal,
    at: addressOf,
    next,
    assertWell: () => write(store, next('plain'), 'plain'), // Google and Cloudflare take one write of a key a second
    clear: async (kept) => void (await deleteUsed(undefined, kept)),
    async close() {
      await deleteUsed(isOwn ? 'null' : undefined); // first by key: not every server lists every key as it is
      // Empty by now, as a rule: only what is left takes the permissions to list and delete uploads and versions.
      if (isOwn)
        return deleteEmptyBucket(store, location.bucket, noContext).catch(() => deleteBucketByForce(store, location.bucket, noContext));
      // Noncurrent versions, if the bucket keeps them. Credentials that may not see them leave them.
      await removeVersions(store, bucket, noContext, location.prefix).catch(() => {});
    },
  };
}

/** Credentials that may not look at a bucket may still write into it, which the first object shows. @throws no_such_bucket */
async function assertThere(store: Store, bucket: string): Promise<void> {
  try {
    await store.transport.headBucket(bucket, noContext);
  } catch (error) {
    if (!hasCode(error, 'access_denied')) throw error;
  }
}

async function isCreated(store: Store, name: string): Promise<boolean> {
  // Whether anything can be written shows in the bucket, but a refusal of the account would lose its reason there.
  const answer = await answerTo({ assertWell: async () => {} }, () => createBucket(store, name, {}, noContext));
  if (isStorageError(answer) && isAboutAccount(answer)) throw answer;
  // Too many buckets, not allowed, not that name: there are many reasons, and the prefix remains as the other way. Nobody else has the name.
  return typeof answer === 'boolean' || hasCode(answer, 'bucket_already_exists');
}
