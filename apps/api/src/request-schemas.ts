import { z } from '@hono/zod-openapi';

import { cannedAcls, contentTypeShape, isContentType, maxKeyBytes, regionPattern, tenantNameShape } from '@coffer/storage-core';
import { baseName } from '@coffer/storage-core/http';
import { tenantSlugProblem, tenantUuidProblem } from '@coffer/tenancy';

/** A whole number in a query: digits only, so that `1e3`, `0x10` and the empty string are errors. */
export function integerParam(options: {
  readonly min: number;
  readonly max: number;
  readonly description: string;
  readonly example?: number;
}) {
  const { min, max, description, example } = options;
  const message = `a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .pipe(z.number().min(min, message).max(max, message))
    .openapi({ type: 'integer', minimum: min, maximum: max, description, ...(example !== undefined && { example }) });
}

/** A boolean in a query or a form. Clients spell it in various ways, and the checkbox of a page is `on`. */
export const booleanText = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['true', 'false', '1', '0', 'on', 'off'], 'true or false'))
  .transform((value) => ['true', '1', 'on'].includes(value));

export function booleanParam(description: string) {
  return booleanText.openapi({ type: 'boolean', description });
}

/** Which page of a list, and how long; for its query. */
export function pageParams(what: string) {
  const description = `Maximum number of ${what} on one page; default 100.`;
  return {
    limit: integerParam({ min: 1, max: 1000, description, example: 100 }).optional(),
    cursor: z.string().max(1024).optional().openapi({ description: '`next_cursor` of the page before; absent for the first page.' }),
  };
}

/** Text that selects keys: at most as long as a key. */
export function listingText(description: string) {
  return z
    .string()
    .refine(
      (value) => Buffer.byteLength(value) <= maxKeyBytes && value.isWellFormed() && !value.includes('\0'),
      `at most ${maxKeyBytes} bytes of UTF-8, without NUL`,
    )
    .openapi({ description, maxLength: maxKeyBytes, pattern: String.raw`^[^\x00]*$` });
}

/** Pattern for text without control characters, for OpenAPI: in syntax that all dialects of regular expressions share. */
export const plain = String.raw`^[^\x00-\x1f\x7f-\x9f]*$`;
const isPlain = new RegExp(plain);

/** Text that PostgreSQL and logs can hold. */
function plainText(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && isPlain.test(value), 'no control characters and no lone surrogates')
    .openapi({ pattern: plain });
}

/** The subject of a token, which is the owner of the files that it uploads. */
export const Subject = plainText(255);

/** Plain text whose last segment is a name: not empty, `.` or `..`. */
const pathToName = String.raw`^(?:[^\x00-\x1f\x7f-\x9f]*[/\\])?(?:\.{3,}|\.*[^./\\\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*)$`;

/** The name of a file, without the sender's folder, as in forms. */
export const Filename = plainText(1024)
  .transform(baseName)
  .pipe(z.string().min(1, 'a name, not a folder'))
  .openapi({ type: 'string', minLength: 1, maxLength: 1024, pattern: pathToName, example: 'document.pdf' });

/** Of a new bucket. */
export const RegionName = z
  .string()
  .regex(regionPattern, '1 to 64 printable ASCII characters, without spaces')
  .openapi({ example: 'us-east-1' });

export const CannedAclSchema = z.enum(cannedAcls, `one of ${cannedAcls.join(', ')}`).openapi('CannedAcl', { example: 'private' });

/**
 * The provider decides which names exist, and refuses those that a header cannot hold. No `example`, for the reason given at ChosenBucket.
 */
export const StorageClassName = z.string().min(1).max(64).openapi({ description: 'Such as `STANDARD`.', pattern: '^[!-~]+$' });

/** Checked as documented: the shape is the storage's own. */
export const ContentType = z
  .string()
  .refine(isContentType, 'a media type such as application/pdf')
  .openapi({ ...contentTypeShape, example: 'application/pdf' });

/** Valid names are only documented here; the storage enforces them, with invalid_bucket_name. */
const bucketNameShape = { minLength: 3, maxLength: 63, pattern: '^[a-z0-9][a-z0-9-]*[a-z0-9]$' };
export const BucketName = z.string().openapi({ ...bucketNameShape, description: 'Name of a bucket.', example: 'acme-uploads' });

/**
 * The bucket of a request that need not name one. Like every optional query parameter, it has no `example`: /docs would send it unasked,
 * and it is not the reader's bucket.
 */
export const ChosenBucket = z
  .string()
  .optional()
  .openapi({
    ...bucketNameShape,
    description: "Name of a bucket. Default: the tenant's bucket, or else the shared or the default one. Such as `acme-uploads`.",
  });

/** Likewise for keys, with invalid_key; the storage counts their length in bytes. */
export const ObjectKey = z.string().openapi({
  minLength: 1,
  maxLength: maxKeyBytes,
  pattern: String.raw`^[^/\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$`,
  example: 'uploads/document.pdf',
});

/** Accepts what a token may carry too, so that every registered tenant can also use tokens of its own. */
function tenantName(problemOf: (value: string) => string | undefined, example: string) {
  return z
    .string()
    .superRefine((value, c) => {
      const message = problemOf(value);
      if (message !== undefined) c.addIssue({ code: 'custom', message });
    })
    .openapi({ ...tenantNameShape, example });
}

export const TenantUuid = tenantName(tenantUuidProblem, 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55');
export const TenantSlug = tenantName(tenantSlugProblem, 'acme');

export const TenantId = z.object({
  tenant_id: z.string().openapi({
    ...tenantNameShape,
    param: { name: 'tenant_id', in: 'path' },
    description: 'Uuid or slug of a tenant.',
    example: 'acme',
  }),
});
