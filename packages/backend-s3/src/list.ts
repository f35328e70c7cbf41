import { hasCode, storageError } from '@coffer/storage-core';
import type { CallContext, ListOptions, ListPage } from '@coffer/storage-core';

import type { Store } from './store.ts';

export async function listObjects(store: Store, bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage> {
  try {
    return await store.transport.list(bucket, options, ctx);
  } catch (error) {
    const hasToken = options.continuationToken !== undefined;
    if (hasToken && (hasCode(error, 'invalid_key') || hasCode(error, 'not_supported'))) {
      throw storageError('invalid_argument', 'The continuation token is not one that a listing gave out.');
    }
    // No key begins as the server lets none begin.
    if (hasCode(error, 'invalid_key')) return { objects: [], commonPrefixes: [], isTruncated: false };
    throw error;
  }
}
