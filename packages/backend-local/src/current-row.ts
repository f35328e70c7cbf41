import { storageError } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';
import type { ObjectRow } from './object-row.ts';
import type { Store } from './store.ts';

/**
 * Calls `use` with the row of an object. When `use` resolves to undefined, because the bytes are gone, the object was replaced or deleted
 * after the row was read: then the same with the row that it has now.
 * @throws no_such_bucket, file_not_found; storage_unavailable when the directory was taken away, and with it all bytes; internal_error when
 * only these are missing
 */
export async function withCurrentRow<T>(store: Store, at: ObjectAddress, use: (row: ObjectRow) => Promise<T | undefined>): Promise<T> {
  let missing: BlobId | undefined;
  for (;;) {
    const row = await store.objects.find(at);
    const used = await use(row);
    if (used !== undefined) return used;
    if (missing === row.blob) {
      store.index.assertInPlace();
      throw storageError('internal_error', `The bytes of "${at.key}" in "${at.bucket}" are missing on disk.`);
    }
    missing = row.blob;
  }
}
