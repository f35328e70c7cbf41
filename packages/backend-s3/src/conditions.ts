import { evaluateConditions, storageError } from '@coffer/storage-core';
import type { GetOptions, StorageError } from '@coffer/storage-core';

import { isEtag, unquoted } from './etag.ts';
import { headerOf, statusOf } from './provider-error.ts';
import { isEmptySuffix } from './ranges.ts';
import type { NotModified, ObjectHeaders, ReadHeaders } from './transport.ts';

/** The conditions as headers if the provider evaluates them according to RFC 9110; undefined if it may not. */
export function conditionHeaders({ range, ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince }: GetOptions): ReadHeaders | undefined {
  const conditions = [ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince].filter((condition) => condition !== undefined);
  if (range !== undefined && isEmptySuffix(range)) return undefined;
  if (conditions.length === 0) return {};
  if (conditions.length > 1 || range !== undefined) return undefined;
  if (ifModifiedSince !== undefined) return isSafeDate(ifModifiedSince) ? { ifModifiedSince } : undefined;
  if (ifUnmodifiedSince !== undefined) return isSafeDate(ifUnmodifiedSince) ? { ifUnmodifiedSince } : undefined;
  const etags = ifMatch ?? ifNoneMatch ?? [];
  const [etag] = etags;
  if (etags === '*' || etag === undefined || etags.length > 1 || !isEtag(etag)) return undefined;
  return ifMatch === undefined ? { ifNoneMatch: etag } : { ifMatch: etag };
}

/** Ceph counts seconds in 32 bits: it takes a time before 1970 for a future one, and a time from 2106 on may be long past. */
function isSafeDate(date: Date): boolean {
  return date.getTime() >= 0 && date.getTime() < 2 ** 32 * 1000;
}

/** @throws `error`, unless it is an answer with status 304 */
export function notModifiedFrom(error: unknown): NotModified {
  if (statusOf(error) !== 304) throw error;
  const etag = headerOf(error, 'etag');
  const modified = Date.parse(headerOf(error, 'last-modified') ?? '');
  return {
    kind: 'not_modified',
    ...(etag !== undefined && { etag: unquoted(etag) }),
    ...(!Number.isNaN(modified) && { lastModified: new Date(modified) }),
  };
}

/**
 * Whether an object was sent although the conditions rule it out: some servers ignore conditions.
 * @throws precondition_failed
 */
export function isNotModified({ etag, lastModified }: Pick<ObjectHeaders, 'etag' | 'lastModified'>, sent: ReadHeaders): boolean {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = sent;
  // A value that the server leaves out cannot be compared.
  const isNamed = etag !== '';
  const isDated = lastModified.getTime() !== 0;
  const conditions = {
    ...(isNamed && ifMatch !== undefined && { ifMatch: [ifMatch] }),
    ...(isNamed && ifNoneMatch !== undefined && { ifNoneMatch: [ifNoneMatch] }),
    ...(isDated && ifModifiedSince !== undefined && { ifModifiedSince }),
    ...(isDated && ifUnmodifiedSince !== undefined && { ifUnmodifiedSince }),
  };
  return evaluateConditions({ etag, lastModified }, conditions) === 'not_modified';
}

/** For a 304 to a request without such a condition, for example from a proxy that has mixed up its answers. */
export function unexpectedNotModified(): StorageError {
  return storageError('storage_unavailable', 'The storage provider answered 304 to a read without such a condition.');
}
