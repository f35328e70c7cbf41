import { resolveRange, storageError } from '@coffer/storage-core';
import type { ByteRange, ResolvedRange } from '@coffer/storage-core';

import type { ObjectHeaders } from './transport.ts';

/** Servers differ about it. */
export function isOddRange(range: ByteRange): boolean {
  return 'suffix' in range ? range.suffix === 0 || range.suffix > 2 ** 50 : (range.end ?? 0) > 2 ** 50;
}

export function rangeHeader(range: ByteRange): string {
  return 'suffix' in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ''}`;
}

/** Which bytes came, and of how many; the `total` is undefined where a body of all of them was sent without its length. */
export function partOf(
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
  // All of it was sent: right only where the range is all of it.
  else if (contentLength !== undefined) {
    const resolved = resolveRange(range, contentLength);
    if (resolved.start === 0 && resolved.end === contentLength - 1) return { total: contentLength, resolved };
  }
  throw storageError('not_supported', 'The storage provider does not serve ranges.');
}

/** Some answers say two things of their length; one that says nothing is counted. @throws storage_unavailable */
function assertLength(told: number | undefined, length: number): void {
  if (told !== undefined && told !== length) throw wrongLength(told, length);
}

/**
 * Whether the rest of an answer can be asked for later: its server serves ranges, and its ETag stands for the very bytes, not for what is as good as the
 * same (RFC 9110, section 8.8.1).
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
