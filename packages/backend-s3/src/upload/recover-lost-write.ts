import { createHash, hash } from 'node:crypto';

import { hasCode, isStorageError, noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { wasInDoubt } from '../in-doubt.ts';
import { causeName } from '../provider-error.ts';
import { getObject } from '../read.ts';
import type { Store } from '../store.ts';
import type { ObjectHeaders, WriteHeaders, Written } from '../transport.ts';
import { versionOf } from '../version-id.ts';

/**
 * If an earlier attempt succeeded but its answer got lost, the next one finds its own object where the condition allows none or another
 * one, or no longer finds its upload.
 * @param isExpected whether an object is the one that was to be written; it throws a retryable error if that cannot be told
 * @returns what was written
 * @throws `error` unless that object is there; why it cannot be looked at for now
 */
export async function recoverLostWrite(
  store: Store,
  at: ObjectAddress,
  error: unknown,
  isExpected: (now: ObjectHeaders) => boolean | Promise<boolean>,
): Promise<Written> {
  const mayBeWritten = causeName(error) === 'NoSuchUpload' || (hasCode(error, 'precondition_failed') && wasInDoubt(error));
  if (!mayBeWritten) throw error;
  const look = async (): Promise<ObjectHeaders | undefined> => {
    const now = await store.transport.head(at, noContext);
    return (await isExpected(now)) ? now : undefined;
  };
  const current = await look().catch((cause: unknown) => {
    // Then the caller must not take it for refused: nobody knows.
    if (isStorageError(cause) && cause.retryable) throw cause;
    return undefined;
  });
  if (current === undefined) throw error;
  return { etag: current.etag, ...versionOf(current.versionId) };
}

/** Whether an object has these bytes, content type and metadata. It is read where its ETag does not tell, as that of one encrypted with KMS. */
export async function matchesWrite(
  store: Store,
  { at, now, headers }: { readonly at: ObjectAddress; readonly now: ObjectHeaders; readonly headers: WriteHeaders },
  data: Uint8Array,
): Promise<boolean> {
  if (!isDescribedBy(now, headers)) return false;
  if (now.etag === hash('md5', data)) return true;
  if (now.contentLength !== data.byteLength) return false;
  const read = await getObject(store, at, { ifMatch: [now.etag] }, noContext);
  if (read.kind !== 'object') return false;
  const sha256 = createHash('sha256');
  for await (const chunk of read.body as AsyncIterable<Buffer>) sha256.update(chunk);
  return sha256.digest('hex') === hash('sha256', data);
}

/** Whether an object has this content type and metadata: somebody else may have written the same bytes. */
export function isDescribedBy(now: ObjectHeaders, { contentType, metadata = {} }: WriteHeaders): boolean {
  return now.contentType === contentType && Object.entries(metadata).every(([name, value]) => now.metadata[name] === value);
}
