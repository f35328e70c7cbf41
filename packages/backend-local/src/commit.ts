import { hasCode } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';
import type { BlobAddress } from './blob-store.ts';
import type { Store } from './store.ts';

/**
 * The end of every write that was committed: it becomes durable, and only then do the bytes that it replaced go. After a
 * power loss in between the old row may be back, and its bytes have to be there.
 */
export async function settle(store: Store, bucket: string, replaced: BlobId | undefined): Promise<void> {
  await store.index.durable();
  if (replaced !== undefined) await store.blobs.remove({ bucket, blob: replaced });
}

/** The end of every write that was not: its bytes go, and their directories if the bucket was removed meanwhile. */
export async function withdraw(store: Store, blob: BlobAddress, error: unknown): Promise<void> {
  await store.blobs.remove(blob);
  if (hasCode(error, 'no_such_bucket')) await store.blobs.removeBucket(blob.bucket);
}
