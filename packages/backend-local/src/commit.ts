import { hasCode } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';
import type { BlobAddress } from './blob-store.ts';
import type { Store } from './store.ts';

/**
 * Ends a committed write: makes it durable, and only then removes the bytes that it replaced. A power loss in between may bring the
 * old row back, and that row needs its bytes.
 */
export async function settle(store: Store, bucket: string, replaced: BlobId | undefined): Promise<void> {
  await store.index.durable();
  if (replaced !== undefined) await store.blobs.remove({ bucket, blob: replaced });
}

/** Ends a write that was not committed: removes its bytes, and their directories if the bucket was removed meanwhile. */
export async function withdraw(store: Store, blob: BlobAddress, error: unknown): Promise<void> {
  await store.blobs.remove(blob);
  if (hasCode(error, 'no_such_bucket')) await store.blobs.removeBucket(blob.bucket);
}
