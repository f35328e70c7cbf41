import { z } from '@hono/zod-openapi';

import { fileStatuses } from '@coffer/files-db';
import { statusByCode } from '@coffer/storage-core/http';

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
    etag: z.string().nullable().openapi({ description: 'null until the file is available.', example: '5d41402abc4b2a76b9719d911017c592' }),
    sha256: z.string().nullable().openapi({
      description: 'null unless it was declared or the provider knows it.',
      example: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
    }),
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
