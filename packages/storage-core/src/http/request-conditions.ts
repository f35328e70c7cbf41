import type { IncomingHttpHeaders } from 'node:http';

import type { ByteRange, EtagCondition, GetOptions, PutOptions } from '../object.ts';
import { declaredChecksums } from './declared-checksums.ts';
import { validationFailed } from './problem.ts';

/**
 * Bare ETags of an If-Match or If-None-Match header. Weak ETags count for If-None-Match, which compares values; they never match If-Match,
 * which asks for the same bytes (RFC 9110, section 8.8.3.2).
 */
function etags(header: string, weak: 'count' | 'never'): EtagCondition {
  if (header.trim() === '*') return '*';
  return [...header.matchAll(/(W\/)?"([^"]*)"|([^\s,"]+)/g)]
    .filter((match) => weak === 'count' || match[1] === undefined)
    .map((match) => match[2] ?? match[3] ?? '');
}

// The three forms of RFC 9110, section 5.6.7. Date.parse alone also accepts "1" and local times.
const httpDate =
  /^(?:[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT|[A-Z][a-z]+, \d{2}-[A-Z][a-z]{2}-\d{2} [\d:]{8} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4})$/;

/** Undefined for an invalid date, which recipients ignore. */
function date(header: string | undefined): Date | undefined {
  if (header === undefined || !httpDate.test(header)) return undefined;
  const time = Date.parse(header.endsWith('GMT') ? header : `${header} GMT`);
  return Number.isNaN(time) ? undefined : new Date(time);
}

// Caps numbers with more digits than any object's size; the cap still lies beyond every object.
const position = (digits: string): number => Math.min(Number(digits), Number.MAX_SAFE_INTEGER);

/** A single byte range; undefined for none, several, or an unknown form, which all mean the whole object. */
export function parseRange(header: string | undefined): ByteRange | undefined {
  const match = header === undefined ? null : /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header);
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') return last === '' ? undefined : { suffix: position(last) };
  if (last === '') return { start: position(first) };
  return position(last) < position(first) ? undefined : { start: position(first), end: position(last) };
}

/**
 * What a GET or HEAD request asks of an object: RFC 9110, sections 13 and 14. If-Range is left to the sender, which knows the object's
 * ETag.
 */
export function readConditionsOf(headers: IncomingHttpHeaders): GetOptions {
  const range = parseRange(headers.range);
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  const modified = date(headers['if-modified-since']);
  const unmodified = date(headers['if-unmodified-since']);
  return {
    ...(range !== undefined && { range }),
    ...(ifMatch !== undefined && { ifMatch: etags(ifMatch, 'never') }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: etags(ifNoneMatch, 'count') }),
    ...(modified !== undefined && { ifModifiedSince: modified }),
    ...(unmodified !== undefined && { ifUnmodifiedSince: unmodified }),
  };
}

/**
 * What a request that writes an object makes the write depend on: If-None-Match, If-Match, and the checksums of its body.
 * @throws validation_failed for a condition or a checksum that a write cannot honour
 */
export function writeConditionsOf(headers: IncomingHttpHeaders): Pick<PutOptions, 'ifMatch' | 'ifNoneMatch' | 'sha256' | 'md5'> {
  const ifNoneMatch = headers['if-none-match'];
  const ifMatch = headers['if-match'];
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== '*')
    throw validationFailed([{ field: 'If-None-Match', message: 'a write accepts only "*"' }]);
  const etag = ifMatch === undefined ? undefined : /^"([^",]+)"$/.exec(ifMatch.trim())?.[1];
  if (ifMatch !== undefined && etag === undefined)
    throw validationFailed([{ field: 'If-Match', message: 'a write accepts a single ETag' }]);
  if (headers['if-unmodified-since'] !== undefined)
    throw validationFailed([{ field: 'If-Unmodified-Since', message: 'is not a condition of a write; use If-Match with an ETag' }]);
  return {
    ...declaredChecksums(headers),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: '*' }),
    ...(etag !== undefined && { ifMatch: etag }),
  };
}
