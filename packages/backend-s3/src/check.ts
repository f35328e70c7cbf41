import { hasCode, isStorageError } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';

import { misdirected } from './errors.ts';
import { sandboxName } from './probe/sandbox-name.ts';
import { causeBucket, causeName } from './provider-error.ts';
import type { Store } from './store.ts';

/**
 * Lists a bucket that does not exist: only a server that knows the credentials says so. Listing all buckets would take longer the more
 * there are.
 */
export function checkOf(store: Store): StorageBackend['check'] {
  const bucket = sandboxName(); // always the same one, because a store remembers every bucket
  return async (ctx) => {
    try {
      await store.transport.list(bucket, { maxKeys: 1 }, ctx).catch(async (error: unknown) => {
        if (!hasCode(error, 'invalid_argument', 'invalid_bucket_name')) throw error;
        await store.transport.listBuckets({}, ctx); // Tencent takes no such name: there, each ends with the account
      });
    } catch (error) {
      const isKnown = ['NoSuchBucket', 'AccessDenied'].includes(causeName(error));
      if (!isStorageError(error) || (!isKnown && !hasCode(error, 'no_such_bucket'))) throw error;
      const reportedBucket = causeBucket(error);
      if (isKnown && (reportedBucket === '' || reportedBucket.includes(bucket))) return;
      throw misdirected(error);
    }
  };
}
