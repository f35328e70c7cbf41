import { resolveRange, storageError } from '@coffer/storage-core';
import type { ByteRange, ResolvedRange } from '@coffer/storage-core';

import type { ObjectHeaders } from './transport.ts';

/** Whether it is the one range about which servers differ: no object satisfies it. */
export function isEmptySuffix(range: ByteRange): boolean {
  return 'suffix' in range && range.suffix === 0;
}

export function rangeHeader(range: ByteRange): string {
  return 'suffix' in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ''}`;
}

/** Which bytes were sent, and of how many. `total` is undefined if the whole object was sent without its length. */
export function sentRangeOf(
  { contentLength, contentRange }: ObjectHeaders,
  range: ByteRange | undefined,
): { readonly total: number | undefined; readonly resolved?: ResolvedRange } {
  if (range === undefined && contentRange === undefined) return { total: contentLength };
  const [, start, end, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '')?.map(Number) ?? [];
  if (range === undefined) {
    if (start === 0 && size !== undefined && end === size - 1) {
      assertLength(contentLength, size);
      return { total: size };
    }
  } else if (start !== undefined && end !== undefined && size !== undefined) {
    const resolved = resolveRange(range, size); // Garage sends a part of an empty object
    if (resolved.start === start && resolved.end === end) {
      assertLength(contentLength, lengthOf(size, resolved));
      return { total: size, resolved };
    }
  }
  // The whole object was sent, which is right only if the range covers it.
  else if (contentLength !== undefined) {
    const resolved = resolveRange(range, contentLength);
    if (resolved.start === 0 && resolved.end === contentLength - 1) return { total: contentLength, resolved };
  }
  throw storageError('not_supported', 'The storage provider does not serve ranges.');
}

/** Some answers contradict themselves about their length; one that does not state it is counted. @throws storage_unavailable */
function assertLength(contentLength: number | undefined, length: number): void {
  if (contentLength !== undefined && contentLength !== length) throw wrongLength(contentLength, length);
}

/**
 * Whether the rest of an answer can be requested later: the server serves ranges, and its ETag is strong, so it identifies the exact bytes
 * (RFC 9110, section 8.8.1).
 */
export function isResumable(etag: string | undefined, acceptRanges: string | undefined, contentRange: string | undefined): boolean {
  return etag !== undefined && !etag.startsWith('W/') && (contentRange !== undefined || acceptRanges === 'bytes');
}

export function lengthOf(size: number, range: ResolvedRange | undefined): number {
  return range === undefined ? size : range.end - range.start + 1;
}

export function wrongLength(received: number, length: number): Error {
  return storageError('storage_unavailable', `The storage provider sent ${received} bytes instead of ${length}.`, { retryAfter: 1 });
}
