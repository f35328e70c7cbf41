import { defaultContentType } from '@coffer/storage-core';

import { encodingOf } from '../content-encoding.ts';
import { quoted, unquoted } from '../etag.ts';
import type { AnswerHead } from '../http/raw-answer.ts';
import { isResumable } from '../ranges.ts';
import type { CarriedHeaders, ObjectHeaders, ReadHeaders, WriteHeaders } from '../transport.ts';
import { versionOf } from '../version-id.ts';

const metadataPrefix = 'x-amz-meta-';
export const redirectHeader = 'x-amz-website-redirect-location';

export function writeHeaders(
  described: WriteHeaders & CarriedHeaders,
  size: number,
  md5?: string,
  checksum: readonly string[] = [],
): string[] {
  const { contentType, metadata, acl, storageClass, ifNoneMatch, ifMatch, checksum: declared, expires, websiteRedirect } = described;
  const headers = carriedHeaders(described);
  headers.push('content-length', String(size));
  if (md5 !== undefined) headers.push('content-md5', Buffer.from(md5, 'hex').toString('base64'));
  headers.push('content-type', contentType);
  if (expires !== undefined) headers.push('expires', expires);
  if (ifMatch !== undefined) headers.push('if-match', ifMatch);
  if (ifNoneMatch !== undefined) headers.push('if-none-match', ifNoneMatch);
  if (acl !== undefined) headers.push('x-amz-acl', acl);
  headers.push(...checksum);
  if (declared !== undefined) headers.push(`x-amz-checksum-${declared.algorithm}`, declared.base64);
  headers.push(...metadataHeaders(metadata));
  if (storageClass !== undefined) headers.push('x-amz-storage-class', storageClass);
  if (websiteRedirect !== undefined) headers.push(redirectHeader, websiteRedirect);
  return headers;
}

export function metadataHeaders(metadata: WriteHeaders['metadata'] = {}): string[] {
  return Object.keys(metadata)
    .sort()
    .flatMap((name) => [`${metadataPrefix}${name}`, metadata[name]!]);
}

/** The headers that sort before all others. */
export function carriedHeaders({ cacheControl, contentDisposition, contentEncoding, contentLanguage }: CarriedHeaders): string[] {
  const headers: string[] = [];
  if (cacheControl !== undefined) headers.push('cache-control', cacheControl);
  if (contentDisposition !== undefined) headers.push('content-disposition', contentDisposition);
  if (contentEncoding !== undefined) headers.push('content-encoding', contentEncoding);
  if (contentLanguage !== undefined) headers.push('content-language', contentLanguage);
  return headers;
}

export function readHeaders({ range, ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince }: ReadHeaders): string[] {
  const headers: string[] = [];
  if (ifMatch !== undefined) headers.push('if-match', quoted(ifMatch));
  if (ifModifiedSince !== undefined) headers.push('if-modified-since', ifModifiedSince.toUTCString());
  if (ifNoneMatch !== undefined) headers.push('if-none-match', quoted(ifNoneMatch));
  if (ifUnmodifiedSince !== undefined) headers.push('if-unmodified-since', ifUnmodifiedSince.toUTCString());
  if (range !== undefined) headers.push('range', range);
  return headers;
}

export function objectHeaders({ headers }: Pick<AnswerHead, 'headers'>): ObjectHeaders {
  const { 'content-length': length, 'content-range': contentRange } = headers;
  const modified = Date.parse(headers['last-modified'] ?? '');
  return {
    contentLength: length === undefined || !/^\d{1,16}$/.test(length) ? undefined : Number(length),
    etag: unquoted(headers['etag']),
    isResumable: isResumable(headers['etag'], headers['accept-ranges'], contentRange),
    contentType: headers['content-type'] ?? defaultContentType,
    ...encodingOf(headers['content-encoding']),
    lastModified: new Date(Number.isNaN(modified) ? 0 : modified),
    storageClass: headers['x-amz-storage-class'] ?? 'STANDARD',
    metadata: metadataOf(headers),
    ...(contentRange !== undefined && { contentRange }),
    ...versionOf(headers['x-amz-version-id']),
  };
}

export function carriedIn({ headers }: Pick<AnswerHead, 'headers'>): CarriedHeaders {
  return {
    cacheControl: headers['cache-control'],
    contentDisposition: headers['content-disposition'],
    contentEncoding: headers['content-encoding'],
    contentLanguage: headers['content-language'],
    expires: headers['expires'],
    websiteRedirect: headers[redirectHeader],
  };
}

/** `fromEntries` sets what is assigned to no avail: a property named `__proto__`. */
function metadataOf(headers: AnswerHead['headers']): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const name in headers) if (name.startsWith(metadataPrefix)) entries.push([name.slice(metadataPrefix.length), headers[name]!]);
  return Object.fromEntries(entries);
}
