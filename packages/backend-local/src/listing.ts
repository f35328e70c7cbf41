import { isUtf8 } from 'node:buffer';

import { storageError } from '@coffer/storage-core';
import type { ListOptions, ListPage, ObjectSummary } from '@coffer/storage-core';

import { hex } from './object-row.ts';
import type { StoredRow } from './object-row.ts';

/** The scan of a listing: a range of the primary key, read no further than the page needs. */
export const objectsFrom = `
  SELECT key, size, md5, modified, storage_class FROM objects WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key
`;

type ListedRow = Pick<StoredRow, 'size' | 'md5' | 'modified' | 'storage_class'> & { readonly key: Uint8Array };

/** Rows with `from <= key < end` in key order, read lazily. */
type Scan = (from: Uint8Array, end: Uint8Array) => Iterable<Record<string, unknown>>;

// Sorts after every key: UTF-8 has no byte 0xff.
const endOfKeys = Uint8Array.of(0xff);

/**
 * Reads one page. With a delimiter the scan restarts after each common prefix, so a page costs what it shows, however many keys a
 * prefix rolls up.
 * @throws invalid_argument
 */
export function listPage(scan: Scan, { prefix = '', delimiter = '', maxKeys = 1000, continuationToken }: ListOptions): ListPage {
  if (!(Number.isInteger(maxKeys) && maxKeys >= 1 && maxKeys <= 1000)) {
    throw storageError('invalid_argument', 'maxKeys must be a whole number from 1 to 1,000.');
  }
  if (!prefix.isWellFormed() || !delimiter.isWellFormed()) {
    throw storageError('invalid_argument', 'A prefix and a delimiter must be valid Unicode.');
  }
  const prefixBytes = Buffer.from(prefix);
  const delimiterBytes = Buffer.from(delimiter);
  const end = prefixBytes.length === 0 ? endOfKeys : upperBound(prefixBytes);
  const objects: ObjectSummary[] = [];
  const commonPrefixes: string[] = [];
  let from = continuationToken === undefined ? prefixBytes : resumeAt(continuationToken, prefixBytes);
  let last: { readonly kind: 'key' | 'prefix'; readonly bytes: Buffer } | undefined;

  for (;;) {
    let rolledUp: Buffer | undefined;
    for (const row of scan(from, end) as Iterable<ListedRow>) {
      if (objects.length + commonPrefixes.length === maxKeys) {
        return { objects, commonPrefixes, isTruncated: true, nextContinuationToken: tokenOf(last!) };
      }
      const key = Buffer.from(row.key.buffer, row.key.byteOffset, row.key.byteLength);
      const found = delimiterBytes.length === 0 ? -1 : key.indexOf(delimiterBytes, prefixBytes.length);
      if (found >= 0) {
        rolledUp = key.subarray(0, found + delimiterBytes.length);
        break;
      }
      objects.push({
        key: key.toString(),
        size: row.size,
        etag: hex(row.md5),
        lastModified: new Date(row.modified),
        storageClass: row.storage_class,
      });
      last = { kind: 'key', bytes: key };
    }
    if (rolledUp === undefined) return { objects, commonPrefixes, isTruncated: false };
    commonPrefixes.push(rolledUp.toString());
    last = { kind: 'prefix', bytes: rolledUp };
    from = upperBound(rolledUp);
  }
}

/** The least byte string above all that start with `prefix`. The last byte is UTF-8, so never 0xff, and can be incremented. */
function upperBound(prefix: Buffer): Buffer {
  const next = Buffer.from(prefix);
  next[next.length - 1]! += 1;
  return next;
}

// A token names the last entry of its page, not a position, so deletes between two pages do not matter.
function tokenOf(last: { readonly kind: 'key' | 'prefix'; readonly bytes: Buffer }): string {
  return Buffer.concat([Buffer.from(last.kind === 'key' ? 'k' : 'p'), last.bytes]).toString('base64url');
}

function resumeAt(token: string, prefixBytes: Buffer): Buffer {
  const decoded = Buffer.from(token, 'base64url');
  const kind = decoded.toString('latin1', 0, 1);
  const bytes = decoded.subarray(1);
  const isValid = decoded.toString('base64url') === token && (kind === 'k' || kind === 'p') && bytes.length > 0 && isUtf8(bytes);
  if (!isValid || !bytes.subarray(0, prefixBytes.length).equals(prefixBytes)) {
    throw storageError('invalid_argument', 'The continuation token is not one of this listing.');
  }
  return kind === 'p' ? upperBound(bytes) : Buffer.concat([bytes, Uint8Array.of(0)]);
}
