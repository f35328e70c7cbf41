import { hasCode, isStorageError, storageError } from '@coffer/storage-core';
import type { CallContext, LifecycleRule } from '@coffer/storage-core';

import { assertBucketExists } from './assert-bucket-exists.ts';
import { allowBrowsers } from './cors.ts';
import { getRules } from './lifecycle.ts';
import type { Store } from './store.ts';

/** Allows uploads from browsers and aborts stale uploads, each if the server has rules for it. */
export async function provisionBucket(store: Store, bucket: string, corsOrigins: readonly string[], ctx: CallContext): Promise<void> {
  ctx.signal?.throwIfAborted();
  let bucketExists = false;
  // One after the other: Ceph sometimes answers 500 to one of two concurrent changes of a bucket.
  await ifSupported('cors', () => allowBrowsers(store, bucket, corsOrigins, ctx));
  await ifSupported('abortRule', () => abortStaleUploads(store, bucket, ctx));

  /** A server that says it has no such rules is believed. Others are probed; if that is impossible, they lack what they refuse. */
  async function ifSupported(kind: 'cors' | 'abortRule', set: () => Promise<void>): Promise<void> {
    if (store.endpoint.known?.[kind] !== false) {
      try {
        return await set();
      } catch (error) {
        if (!isStorageError(error) || error.retryable) throw error;
        const profile = hasCode(error, 'not_supported') ? store.endpoint.known : await store.endpoint.profileIfAllowed(bucket, ctx);
        if (profile?.[kind] ?? !hasCode(error, 'invalid_argument', 'not_supported')) throw error;
      }
    }
    if (!bucketExists) await assertBucketExists(store, bucket, ctx);
    bucketExists = true;
  }
}

const staleUploads: LifecycleRule = { id: 'coffer-abort-stale-uploads', prefix: '', abortMultipartDays: 1 };

async function abortStaleUploads(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  const rules = await getRules(store, bucket, ctx);
  const forAll = rules.filter(({ isEnabled, isNarrower, prefix }) => isEnabled && !isNarrower && prefix === '');
  const isSet = forAll.some(({ abortMultipartDays }) => abortMultipartDays !== undefined);
  if (isSet) return;
  const others = rules.filter(({ id }) => id !== staleUploads.id);
  await store.administration.putRules(bucket, [...others, staleUploads], ctx).catch((error: unknown) => {
    if (others.length > 0 || !hasCode(error, 'invalid_argument')) throw error;
    // Nothing is wrong with this rule by itself: MinIO calls a rule that it does not support an invalid argument.
    throw storageError('not_supported', 'The storage provider does not accept a rule that aborts stale uploads.', { cause: error });
  });
}
