import { hasCode } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';
import type { BlobAddress } from './blob-store.ts';
import type { Store } from './store.ts';

/**
 * Ends a committed change: makes it durable, and only then removes the bytes that nothing refers to any more. A power loss in between may
 * bring their rows back, and those need their bytes.
 */
export async function settle(store: Store, bucket: string, unowned: readonly BlobId[]): Promise<void> {
  await store.index.durable();
  await Promise.all(unowned.map((blob) => store.blobs.remove({ bucket, blob })));
}

/** Ends a write that was not committed: removes its bytes, and their directories if the bucket was removed meanwhile. */
export async function withdraw(store: Store, blob: BlobAddress, error: unknown): Promise<void> {
  await store.blobs.remove(blob);
  if (hasCode(error, 'no_such_bucket')) await store.blobs.removeBucket(blob.bucket);
}
