import { z } from '@hono/zod-openapi';

/** Headers as the OpenAPI document has them; what they hold is judged where they are used. */
const header = (description: string, example: string) => z.string().optional().openapi({ description, example });

/** Of routes that work for a tenant. */
export const tenantHeader = z.object({
  'X-Tenant-ID': header(
    'Uuid or slug of the tenant that an admin or a service acts for; of any other token it can only confirm the tenant.',
    'acme',
  ),
});

/** Of routes that send bytes. */
export const readHeaders = z.object({
  Range: header('One range of bytes.', 'bytes=0-1023'),
  'If-Range': header('The range only if the ETag, or time, is still this one; else all of it.', '"9a0364b9e99bb480dd25e1f0284c8555"'),
  'If-Match': header('ETags, or `*`.', '"9a0364b9e99bb480dd25e1f0284c8555"'),
  'If-None-Match': header('ETags, or `*`: answered with 304 if it is one of them.', '"9a0364b9e99bb480dd25e1f0284c8555"'),
  'If-Modified-Since': header('A time.', 'Wed, 21 Oct 2026 07:28:00 GMT'),
  'If-Unmodified-Since': header('A time.', 'Wed, 21 Oct 2026 07:28:00 GMT'),
});

/** Of routes that take bytes. */
export const checksumHeaders = z.object({
  'x-amz-checksum-sha256': header('SHA-256 of the bytes, in base64, to be verified.', 'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='),
  'Content-MD5': header('MD5 of the bytes, in base64, to be verified.', 'XUFAKrxLKna5cZ2REBfFkg=='),
  Digest: header('Checksums of the bytes, to be verified.', 'sha-256=LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='),
});

/** The same of objects, whose key may be taken. */
export const writeHeaders = checksumHeaders.extend({
  'If-None-Match': header('`*` writes only if there is nothing of this key.', '*'),
  'If-Match': header('One ETag: writes only over that object.', '"9a0364b9e99bb480dd25e1f0284c8555"'),
});

/** Of every answer. */
export const answerHeaders = {
  'X-Request-ID': {
    description: 'What the log knows the request by: the one that was sent, or a new one.',
    schema: { type: 'string' as const },
  },
};
