import { hasCode, isStorageError, storageError } from '@coffer/storage-core';
import type { CallContext, LifecycleRule } from '@coffer/storage-core';

import { assertBucketThere } from './bucket-there.ts';
import { allowBrowsers } from './cors.ts';
import { getRules } from './lifecycle.ts';
import type { Store } from './store.ts';

/** Uploads from browsers, and no remains of uploads that nobody ends: each where the server has a rule for it. */
export async function provisionBucket(store: Store, bucket: string, corsOrigins: readonly string[], ctx: CallContext): Promise<void> {
  ctx.signal?.throwIfAborted();
  let isBucketThere = false;
  // Ceph answers 500, now and then, to one of two changes of a bucket at the same time.
  await unlessLacking('cors', () => allowBrowsers(store, bucket, corsOrigins, ctx));
  await unlessLacking('abortRule', () => abortStaleUploads(store, bucket, ctx));

  /** A server that says not to have such rules is believed. Others are tried out; where that cannot be, they lack what they refuse. */
  async function unlessLacking(kind: 'cors' | 'abortRule', set: () => Promise<void>): Promise<void> {
    if (store.endpoint.known?.[kind] !== false) {
      try {
        return await set();
      } catch (error) {
        if (!isStorageError(error) || error.retryable) throw error;
        const profile = hasCode(error, 'not_supported') ? store.endpoint.known : await store.endpoint.profileIfAllowed(bucket, ctx);
        if (profile?.[kind] ?? !hasCode(error, 'invalid_argument', 'not_supported')) throw error;
      }
    }
    if (!isBucketThere) await assertBucketThere(store, bucket, ctx);
    isBucketThere = true;
  }
}

const staleUploads: LifecycleRule = { id: 'coffer-abort-stale-uploads', prefix: '', abortMultipartDays: 1 };

async function abortStaleUploads(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  const rules = await getRules(store, bucket, ctx);
  const isSet = rules.some(({ isEnabled, abortMultipartDays, prefix }) => isEnabled && abortMultipartDays !== undefined && prefix === '');
  if (isSet) return;
  const others = rules.filter(({ id }) => id !== staleUploads.id);
  await store.administration.putRules(bucket, [...others, staleUploads], ctx).catch((error: unknown) => {
    if (others.length > 0 || !hasCode(error, 'invalid_argument')) throw error;
    // Nothing is wrong with this rule by itself: MinIO calls one that it does not have an argument that is.
    throw storageError('not_supported', 'The storage provider does not accept a rule that aborts stale uploads.', { cause: error });
  });
}
