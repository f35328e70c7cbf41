import { hasCode } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import type { Store } from './store.ts';

/** Some servers accept rules for buckets that do not exist, and report success. @throws no_such_bucket */
export async function assertBucketExists(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  if (store.settings.isAws) return;
  try {
    await store.transport.headBucket(bucket, ctx);
  } catch (error) {
    if (!hasCode(error, 'access_denied')) throw error; // credentials that may not look may still set rules
  }
}
