import { z } from '@hono/zod-openapi';

import { fileStatuses } from '@coffer/files-db';
import { cannedAcls, contentTypeShape, isContentType, maxKeyBytes, regionPattern, tenantNameShape } from '@coffer/storage-core';
import { baseName, statusByCode } from '@coffer/storage-core/http';

import { canonicalTenantUuid, tenantSlugProblem, tenantUuidProblem } from '@coffer/tenancy';

export const ProblemSchema = z
  .object({
    type: z.string().openapi({ example: 'about:blank' }),
    title: z.string().openapi({ example: 'Not Found' }),
    status: z.int().openapi({ example: 404 }),
    detail: z.string().openapi({ example: 'There is no such file.' }),
    code: z.enum(Object.keys(statusByCode) as [string, ...string[]]).openapi({ example: 'file_not_found' }),
    request_id: z.string().openapi({ example: '0f6f6c1e-6a55-4f0b-8f8f-0c7a9c1d2e3f' }),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .openapi('Problem');

/**
 * Bytes of any type, in an OpenAPI document. Some generators do not know wildcards and drop a body that has nothing else; others send the
 * wildcard as the type. So the first type is one that all of them know.
 */
export const anyBytes = {
  'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
  '*/*': { schema: { type: 'string', format: 'binary' } },
} as const;

/** A number of bytes, or another count that may exceed 32 bits: without the format, many generators use 32-bit integers. */
export const Count = z.int().min(0).openapi({ format: 'int64', maximum: Number.MAX_SAFE_INTEGER, example: 1_024_000 });

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
    description: "Name of a bucket. Default: the tenant's bucket, or else the default bucket. Such as `acme-uploads`.",
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

export const TenantUuid = tenantName(tenantUuidProblem, 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55')
  .transform(canonicalTenantUuid)
  .openapi({ type: 'string', ...tenantNameShape, example: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55' });
export const TenantSlug = tenantName(tenantSlugProblem, 'acme');

export const TenantId = z.object({
  tenant_id: z
    .string()
    .transform(canonicalTenantUuid)
    .openapi({
      type: 'string',
      ...tenantNameShape,
      param: { name: 'tenant_id', in: 'path' },
      description: 'Uuid or slug of a tenant.',
      example: 'acme',
    }),
});

const Timestamp = z.iso.datetime().openapi({ example: '2026-01-15T10:30:00.000Z' });

export const FileSchema = z
  .object({
    id: z.uuid().openapi({ example: '019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d' }),
    filename: z.string().openapi({ example: 'report.pdf' }),
    content_type: z.string().openapi({ example: 'application/pdf' }),
    size_bytes: Count,
    bucket: z.string().openapi({ example: 'acme-uploads' }),
    storage_key: z.string().openapi({ example: 'files/019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d' }),
    owner_id: z.string().openapi({ example: 'user-123' }),
    tenant_uuid: z.string().nullable().openapi({ example: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55' }),
    is_public: z.boolean(),
    status: z.enum(fileStatuses).openapi({ example: 'available' }),
    etag: z.string().nullable().openapi({ example: '5d41402abc4b2a76b9719d911017c592' }),
    sha256: z.string().nullable().openapi({ example: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' }),
    metadata: z.record(z.string(), z.unknown()).openapi({ example: { project: 'apollo' } }),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .openapi('FileRecord');

export const ObjectSchema = z
  .object({
    bucket: z.string().openapi({ example: 'acme-uploads' }),
    key: z.string().openapi({ example: 'uploads/document.pdf' }),
    etag: z.string().openapi({ example: '5d41402abc4b2a76b9719d911017c592' }),
    size_bytes: Count,
    content_type: z.string().openapi({ example: 'application/pdf' }),
    storage_class: z.string().openapi({ example: 'STANDARD' }),
    version_id: z.string().optional(),
  })
  .openapi('StoredObject');

export const ObjectListSchema = z
  .object({
    objects: z.array(
      z.object({
        key: z.string().openapi({ example: 'uploads/document.pdf' }),
        size_bytes: Count,
        etag: z.string().openapi({ example: '5d41402abc4b2a76b9719d911017c592' }),
        last_modified: Timestamp,
        storage_class: z.string().openapi({ example: 'STANDARD' }),
      }),
    ),
    common_prefixes: z.array(z.string()).readonly(),
    is_truncated: z.boolean(),
    next_continuation_token: z.string().optional(),
  })
  .openapi('ObjectList');

export const BucketSchema = z
  .object({
    name: z.string().openapi({ example: 'acme-uploads' }),
    region: z.string().openapi({ example: 'us-east-1' }),
    creation_date: Timestamp,
    versioning_enabled: z.boolean(),
    tenant_uuid: z.string().nullable().openapi({ example: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55' }),
  })
  .openapi('Bucket');

export const AclSchema = z
  .object({
    owner: z.object({ display_name: z.string(), id: z.string() }),
    grants: z.array(
      z.object({
        grantee: z.object({
          type: z.enum(['CanonicalUser', 'Group']),
          id: z.string().optional(),
          uri: z.string().optional(),
          display_name: z.string().optional(),
        }),
        permission: z.enum(['FULL_CONTROL', 'READ', 'READ_ACP', 'WRITE', 'WRITE_ACP']),
      }),
    ),
  })
  .openapi('Acl');

export const TenantSchema = z
  .object({
    tenant_uuid: z.string().openapi({ example: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55' }),
    tenant_slug: z.string().openapi({ example: 'acme' }),
    buckets: z
      .array(z.string())
      .readonly()
      .openapi({ description: 'The primary bucket comes first.', example: ['acme-uploads'] }),
    quota_bytes: Count.nullable().openapi({ example: 10_737_418_240 }),
    created_at: Timestamp,
  })
  .openapi('Tenant');
