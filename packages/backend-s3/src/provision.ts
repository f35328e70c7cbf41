import { hasCode, isStorageError } from '@coffer/storage-core';
import type { CallContext, LifecycleRule } from '@coffer/storage-core';

import { allowBrowsers } from './cors.ts';
import { getRules } from './lifecycle.ts';
import { assertBucketThere } from './store.ts';
import type { Store } from './store.ts';

/** Uploads from browsers, and no remains of uploads that nobody ends: each where the server has a rule for it. */
export async function provisionBucket(store: Store, bucket: string, corsOrigins: readonly string[], ctx: CallContext): Promise<void> {
  ctx.signal?.throwIfAborted();
  // Ceph answers 500, now and then, to one of two changes of a bucket at the same time.
  await unlessLacking('cors', () => allowBrowsers(store, bucket, corsOrigins, ctx));
  await unlessLacking('abortRule', () => abortStaleUploads(store, bucket, ctx));

  /** Where it could not be tried out whether a server has such rules, it lacks those that it says not to know. */
  async function unlessLacking(kind: 'cors' | 'abortRule', set: () => Promise<void>): Promise<void> {
    try {
      await set();
    } catch (error) {
      if (!isStorageError(error) || error.retryable) throw error;
      const isThere = (await store.profileIfAllowed(bucket, ctx))?.[kind] ?? !hasCode(error, 'invalid_argument', 'not_supported');
      if (isThere) throw error;
      await assertBucketThere(store, bucket, ctx);
    }
  }
}

const staleUploads: LifecycleRule = { id: 'coffer-abort-stale-uploads', prefix: '', abortMultipartDays: 1 };

async function abortStaleUploads(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  const rules = await getRules(store, bucket, ctx);
  const isSet = rules.some(({ isEnabled, abortMultipartDays, prefix }) => isEnabled && abortMultipartDays !== undefined && prefix === '');
  if (isSet) return;
  await store.administration.putRules(bucket, [...rules.filter(({ id }) => id !== staleUploads.id), staleUploads], ctx);
}
