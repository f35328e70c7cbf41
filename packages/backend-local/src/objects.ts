import { assertStorageClass, destroyOnAbort, evaluateConditions, resolveRange } from '@coffer/storage-core';
import type { CallContext, GetOptions, GetResult, ObjectAddress, ObjectInfo, PutOptions } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';
import { settle, withdraw } from './commit.ts';
import { withCurrentRow } from './current-row.ts';
import type { WriteConditions } from './object-index.ts';
import { infoOf } from './object-row.ts';
import type { ObjectRow } from './object-row.ts';
import type { Store } from './store.ts';
import { receive } from './upload.ts';
import type { Announced } from './upload.ts';

/** Decides whether a reader may see a row; throws if not. */
export type Gate = (row: ObjectRow) => void;

const allowAll: Gate = () => {};

/** Writes an object: first its bytes, durably, then its row, which makes it exist. */
export async function putObject(
  store: Store,
  at: ObjectAddress,
  given: Announced,
  options: PutOptions,
  { now, ctx }: { readonly now: () => Date; readonly ctx: CallContext },
): Promise<ObjectInfo> {
  const { signal } = ctx;
  try {
    const storageClass = options.storageClass ?? 'STANDARD';
    assertStorageClass(storageClass);
    await store.objects.checkWrite(at, options); // fail before the body is read
    signal?.throwIfAborted(); // a listener added after the abort would never fire
    const { path, size, md5, sha256 } = await receive(given, options, store, signal);
    const row: ObjectRow = {
      blob: store.blobs.newId(),
      size,
      md5,
      sha256,
      modified: now(),
      contentType: options.contentType,
      storageClass,
      acl: options.acl ?? 'private',
      metadata: options.metadata ?? {},
    };
    const replaced = await commit(store, at, { row, path, conditions: options, signal });
    await settle(store, at.bucket, replaced);
    return infoOf(at, row);
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  }
}

async function commit(
  store: Store,
  at: ObjectAddress,
  upload: {
    readonly row: ObjectRow;
    readonly path: string;
    readonly conditions: WriteConditions;
    readonly signal: AbortSignal | undefined;
  },
): Promise<readonly BlobId[]> {
  const { row, path, conditions, signal } = upload;
  const blob = { bucket: at.bucket, blob: row.blob };
  try {
    await store.blobs.place(path, blob);
    signal?.throwIfAborted();
    return await store.objects.commit(at, row, conditions, () => store.blobs.has(blob));
  } catch (error) {
    await store.temp.discard(path);
    await withdraw(store, blob, error);
    throw error;
  }
}

/** Opens an object as it is at one moment: replacing or deleting it afterwards does not disturb the reader. */
export async function getObject(
  store: Store,
  at: ObjectAddress,
  options: GetOptions,
  ctx: CallContext,
  gate: Gate = allowAll,
): Promise<GetResult> {
  const { signal } = ctx;
  return withCurrentRow(store, at, async (row) => {
    signal?.throwIfAborted();
    gate(row);
    const info = infoOf(at, row);
    if (evaluateConditions(info, options) === 'not_modified') {
      return { kind: 'not_modified', etag: info.etag, lastModified: info.lastModified };
    }
    const range = options.range === undefined ? undefined : resolveRange(options.range, row.size);
    const { start, end } = range ?? { start: 0, end: row.size - 1 };
    const body = await store.blobs.open({ bucket: at.bucket, blob: row.blob }, { start, length: end - start + 1 });
    if (body === undefined) return undefined;
    destroyOnAbort(body, signal);
    signal?.throwIfAborted();
    return { kind: 'object', info, body, ownsChunks: true, ...(range !== undefined && { range }) };
  });
}

export async function headObject(store: Store, at: ObjectAddress, gate: Gate = allowAll): Promise<ObjectInfo> {
  const row = await store.objects.find(at);
  gate(row);
  return infoOf(at, row);
}

export async function deleteObjects(store: Store, bucket: string, keys: readonly string[]): Promise<void> {
  await settleRemoval(store, bucket, await store.objects.remove(bucket, keys));
}

export async function deleteIfMatch(store: Store, at: ObjectAddress, etag: string): Promise<void> {
  await settleRemoval(store, at.bucket, await store.objects.removeIfMatch(at, etag));
}

async function settleRemoval(store: Store, bucket: string, unowned: readonly BlobId[]): Promise<void> {
  await settle(store, bucket, unowned); // also without bytes: who removed them may not have made that durable
  await store.index.freed();
}
