import { assertStorageClass, storageError } from '@coffer/storage-core';
import type { CallContext, CopiedObject, CopyOptions, ObjectAddress } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';
import type { BlobAddress } from './blob-store.ts';
import { settle, withdraw } from './commit.ts';
import { withCurrentRow } from './current-row.ts';
import { infoOf } from './object-row.ts';
import type { ObjectRow } from './object-row.ts';
import type { Store } from './store.ts';

/** Copies in constant time where the file system has hard links: bytes never change, so a second name for them is a copy. */
export async function copyObject(
  store: Store,
  { source, destination }: { readonly source: ObjectAddress; readonly destination: ObjectAddress },
  options: CopyOptions,
  { now, ctx }: { readonly now: () => Date; readonly ctx: CallContext },
): Promise<CopiedObject> {
  const conditions = { ifNoneMatch: options.ifNoneMatch };
  const blob = { bucket: destination.bucket, blob: store.blobs.newId() };
  let row: ObjectRow;
  let replaced: readonly BlobId[];
  try {
    await store.objects.find(source); // S3 checks the source first, too, so several mistakes at once report the same error
    if (options.storageClass !== undefined) assertStorageClass(options.storageClass);
    await store.objects.checkWrite(destination, conditions);
    const from = await duplicate(store, source, blob, options);
    ctx.signal?.throwIfAborted();
    row = {
      ...from,
      blob: blob.blob,
      modified: now(),
      acl: options.acl ?? from.acl,
      storageClass: options.storageClass ?? from.storageClass,
    };
    replaced = await store.objects.commit(destination, row, conditions, () => store.blobs.has(blob));
  } catch (error) {
    await withdraw(store, blob, error);
    throw error;
  }
  await settle(store, destination.bucket, replaced);
  return { ...infoOf(destination, row), sourceEtag: row.md5 };
}

/** Gives the bytes of `source` the name `blob`. @returns the row of the source */
async function duplicate(store: Store, source: ObjectAddress, blob: BlobAddress, { ifMatch, onlyIf }: CopyOptions): Promise<ObjectRow> {
  return withCurrentRow(store, source, async (row) => {
    if (ifMatch !== undefined && ifMatch !== row.md5) {
      throw storageError('precondition_failed', 'The source of the copy has a different ETag than requested.');
    }
    if (onlyIf !== undefined && !onlyIf(infoOf(source, row)))
      throw storageError('precondition_failed', 'The source of the copy does not meet the condition.');
    return (await store.blobs.duplicate({ bucket: source.bucket, blob: row.blob }, blob)) ? row : undefined;
  });
}
