import { z } from '@hono/zod-openapi';

import { tenantNameShape } from '@coffer/storage-core';

import { presignedUrlExample } from './examples.ts';

const etagExample = '"9a0364b9e99bb480dd25e1f0284c8555"';
const timeExample = 'Wed, 21 Oct 2026 07:28:00 GMT';

/**
 * Headers in the OpenAPI document; their values are validated where they are used. None has an `example`: /docs would send it
 * unasked, with a tenant, a condition or a checksum that is not the reader's.
 */
const requestHeader = (description: string, example: string) =>
  z
    .string()
    .optional()
    .openapi({ description: `${description} Such as \`${example}\`.` });

/** For routes that work for a tenant. */
export const tenantHeader = z.object({
  'X-Tenant-ID': requestHeader(
    'Uuid or slug of the tenant that an admin or a service acts for; with any other token, it can only confirm the tenant.',
    'acme',
  ).openapi(tenantNameShape),
});

/** For routes that send bytes. */
export const readHeaders = z.object({
  Range: requestHeader('One range of bytes.', 'bytes=0-1023'),
  'If-Range': requestHeader('Send the range only if the ETag, or time, is still this one; otherwise send the whole.', etagExample),
  'If-Match': requestHeader('ETags, or `*`.', etagExample),
  'If-None-Match': requestHeader('ETags, or `*`: the answer is 304 if the ETag is one of them.', etagExample),
  'If-Modified-Since': requestHeader('A time.', timeExample),
  'If-Unmodified-Since': requestHeader('A time.', timeExample),
});

// Base64 of 32 and of 16 bytes: the unused bits of the last character must be 0.
const sha256 = '^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]={0,2}$';
const md5 = '^[A-Za-z0-9+/]{21}[AQgw]={0,2}$';

/** For routes that receive bytes. */
export const checksumHeaders = z.object({
  'x-amz-checksum-sha256': requestHeader(
    'SHA-256 of the bytes, in base64, to be verified.',
    'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=',
  ).openapi({ pattern: sha256 }),
  'Content-MD5': requestHeader('MD5 of the bytes, in base64, to be verified.', 'XUFAKrxLKna5cZ2REBfFkg==').openapi({ pattern: md5 }),
  Digest: requestHeader('Checksums of the bytes, to be verified.', 'sha-256=LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='),
});

/** The same for objects, whose key may already exist. */
export const writeHeaders = checksumHeaders.extend({
  'If-None-Match': requestHeader('`*`: write only if there is no object with this key.', '*').openapi({ pattern: String.raw`^\*$` }),
  'If-Match': requestHeader('One ETag: write only over that object.', etagExample).openapi({
    pattern: '^"[^",]+"$',
  }),
});

/** For routes that delete. */
export const deleteHeaders = z.object({
  'If-Match': requestHeader('ETags, or `*`: delete only an object that matches.', etagExample),
  'If-None-Match': requestHeader('ETags, or `*`: do not delete an object that matches.', etagExample),
  'If-Unmodified-Since': requestHeader('A time.', timeExample),
});

/** Headers of an answer in the OpenAPI document. */
export type AnswerHeaders = Readonly<Record<string, { readonly description: string; readonly schema: HeaderSchema }>>;
type HeaderSchema =
  | { readonly type: 'string'; readonly example: string }
  | { readonly type: 'integer'; readonly format: 'int64'; readonly example: number };

const answerHeader = (description: string, example: string | number): AnswerHeaders[string] => ({
  description,
  schema: typeof example === 'number' ? { type: 'integer', format: 'int64', example } : { type: 'string', example },
});

/** On every answer. */
export const answerHeaders: AnswerHeaders = {
  'X-Request-ID': answerHeader(
    'The id of the request in the log: the one that was sent, or a new one.',
    '0f6f6c1e-6a55-4f0b-8f8f-0c7a9c1d2e3f',
  ),
};

/** On answers to a write. */
export const writtenHeaders: AnswerHeaders = { ETag: answerHeader('ETag of what was written.', etagExample) };

/** On a 304, which has no bytes because the client has them. */
export const unchangedHeaders: AnswerHeaders = {
  ETag: answerHeader('Changes with the bytes.', etagExample),
  'Last-Modified': answerHeader('When the object was written, if the provider reports it.', timeExample),
  'Cache-Control': answerHeader(
    '`no-cache`: a copy may be kept, but must be revalidated each time; `private`: shared caches must not keep one.',
    'private, no-cache',
  ),
};

/** On a 304 for a file, or through a presigned URL, which may be one for a file. */
export const unchangedFileHeaders: AnswerHeaders = {
  ...unchangedHeaders,
  'Content-Disposition': answerHeader(
    'The name of a file (RFC 8187), which may have changed; absent for other objects.',
    'inline; filename="report.pdf"',
  ),
};

/** On an answer that sends an object. */
export const sentHeaders: AnswerHeaders = {
  ...unchangedHeaders,
  'Last-Modified': answerHeader('When the object was written.', timeExample),
  'Content-Disposition': answerHeader(
    'The name of a file (RFC 8187), and `attachment` for each type that a browser would run; absent for objects of other types.',
    'inline; filename="report.pdf"',
  ),
  'Accept-Ranges': answerHeader('Says that a range may be requested.', 'bytes'),
  'Content-Length': answerHeader('Number of bytes that follow, or would follow.', 1_024_000),
  'Content-Encoding': answerHeader('Encoding of the bytes, if the provider stores the object encoded.', 'gzip'),
  'X-Content-Type-Options': answerHeader('Browsers must not guess the type.', 'nosniff'),
  'Content-Security-Policy': answerHeader('For each type that a browser would run.', "default-src 'none'; sandbox"),
};

/** On an answer that sends a part of an object. */
export const partHeaders: AnswerHeaders = {
  ...sentHeaders,
  'Content-Range': answerHeader('First and last byte of the part, and the size of the whole object.', 'bytes 0-1023/1024000'),
};

/** On a refused range that the object does not have. */
export const unsatisfiableRangeHeaders: AnswerHeaders = {
  'Content-Range': answerHeader('The size of the whole object, if the provider reports it.', 'bytes */1024000'),
};

/** On a redirect to where the bytes are. */
export const redirectHeaders: AnswerHeaders = {
  Location: answerHeader('A presigned URL.', presignedUrlExample),
  'Cache-Control': answerHeader('The URL works only for a limited time.', 'no-store'),
};

/** On an answer to a request without a valid token. */
export const unauthorizedHeaders: AnswerHeaders = { 'WWW-Authenticate': answerHeader('Says that a bearer token is needed.', 'Bearer') };

/** On an error that a retry may resolve. */
export const retryHeaders: AnswerHeaders = { 'Retry-After': answerHeader('Seconds to wait before trying again.', 1) };
