import { hash } from 'node:crypto';

import { hasCode, isStorageError, noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { wasInDoubt } from '../in-doubt.ts';
import { causeName } from '../provider-error.ts';
import type { Store } from '../store.ts';
import type { ObjectHeaders, WriteHeaders, Written } from '../transport.ts';
import { versionOf } from '../version-id.ts';

/**
 * If an earlier attempt succeeded but its answer got lost, the next one finds its own object where the condition allows none or another
 * one, or no longer finds its upload.
 * @param isExpected whether an object is the one that was to be written
 * @returns what was written
 * @throws `error` unless that object is there; why it cannot be looked at for now
 */
export async function recoverLostWrite(
  store: Store,
  at: ObjectAddress,
  error: unknown,
  isExpected: (now: ObjectHeaders) => boolean,
): Promise<Written> {
  const mayBeWritten = causeName(error) === 'NoSuchUpload' || (hasCode(error, 'precondition_failed') && wasInDoubt(error));
  if (!mayBeWritten) throw error;
  const current = await store.transport.head(at, noContext).catch((cause: unknown) => {
    // Then the caller must not take it for refused: nobody knows.
    if (isStorageError(cause) && cause.retryable) throw cause;
    return undefined;
  });
  if (current === undefined || !isExpected(current)) throw error;
  return { etag: current.etag, ...versionOf(current.versionId) };
}

/** Whether an object has these bytes, content type and metadata. */
export function matchesWrite(now: ObjectHeaders, data: Uint8Array, headers: WriteHeaders): boolean {
  return now.etag === hash('md5', data) && isDescribedBy(now, headers);
}

/** Whether an object has this content type and metadata: somebody else may have written the same bytes. */
export function isDescribedBy(now: ObjectHeaders, { contentType, metadata = {} }: WriteHeaders): boolean {
  return now.contentType === contentType && Object.entries(metadata).every(([name, value]) => now.metadata[name] === value);
}
