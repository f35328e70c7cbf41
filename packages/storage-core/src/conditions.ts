import { isDate } from 'node:util/types';

import { storageError } from './errors.ts';
import type { ByteRange, EtagCondition, ObjectInfo, ReadConditions, ResolvedRange } from './object.ts';

function matches(condition: EtagCondition, etag: string): boolean {
  return condition === '*' || condition.includes(etag);
}

// HTTP dates have whole seconds.
const seconds = (date: Date): number => Math.floor(date.getTime() / 1000);

/**
 * Evaluates read conditions in the order of RFC 9110, section 13.2.2. They come before the range.
 * @returns whether the object is to be sent
 * @throws precondition_failed
 */
export function evaluateConditions(info: Pick<ObjectInfo, 'etag' | 'lastModified'>, conditions: ReadConditions): 'send' | 'not_modified' {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, info.etag)) throw storageError('precondition_failed', 'The ETag of the object does not match If-Match.');
  } else if (ifUnmodifiedSince !== undefined && seconds(info.lastModified) > seconds(ifUnmodifiedSince)) {
    throw storageError('precondition_failed', 'The object was modified after If-Unmodified-Since.');
  }
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, info.etag) ? 'not_modified' : 'send';
  if (ifModifiedSince !== undefined && seconds(info.lastModified) <= seconds(ifModifiedSince)) return 'not_modified';
  return 'send';
}

/** A single ETag would match by its parts, or be sent letter by letter. @throws invalid_argument */
export function assertReadConditions(conditions: ReadConditions): void {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
  if (!isEtagCondition(ifMatch) || !isEtagCondition(ifNoneMatch))
    throw storageError('invalid_argument', 'ifMatch and ifNoneMatch of a read must be an array of bare ETags, or "*".');
  if (!isMoment(ifModifiedSince) || !isMoment(ifUnmodifiedSince))
    throw storageError('invalid_argument', 'ifModifiedSince and ifUnmodifiedSince must be valid Dates.');
}

function isEtagCondition(value: unknown): boolean {
  return value === undefined || value === '*' || (Array.isArray(value) && value.every((etag) => typeof etag === 'string'));
}

function isMoment(value: unknown): boolean {
  return value === undefined || (isDate(value) && !Number.isNaN(value.getTime()));
}

/** @throws invalid_argument for a range that is invalid whatever the size of the object */
export function assertByteRange(range: ByteRange): void {
  const given = Object(range) as { start?: number; end?: number; suffix?: number };
  const { start, end = start, suffix } = given;
  // Whether there is a suffix decides how a range is read.
  if (suffix === undefined ? 'suffix' in given : start !== undefined)
    throw storageError(
      'invalid_argument',
      'A byte range must have either a start, with or without an end, or a suffix; leave out the other, even if it is undefined.',
    );
  const [first, last] = suffix === undefined ? [start, end] : [suffix, suffix];
  if (!isPosition(first) || !isPosition(last) || last < first) {
    throw storageError('invalid_argument', 'A byte range must be whole numbers, and its start must not be after its end.');
  }
}

function isPosition(n: number | undefined): n is number {
  return Number.isSafeInteger(n) && n !== undefined && n >= 0;
}

/**
 * Resolves a byte range for an object of `size` bytes.
 * @throws range_not_satisfiable, with `objectSize`
 */
export function resolveRange(range: ByteRange, size: number): ResolvedRange {
  const start = 'suffix' in range ? Math.max(0, size - range.suffix) : range.start;
  const end = 'suffix' in range ? size - 1 : Math.min(range.end ?? size - 1, size - 1);
  if (start > end) {
    throw storageError('range_not_satisfiable', `The range lies outside the object's ${size} bytes.`, { objectSize: size });
  }
  return { start, end };
}
