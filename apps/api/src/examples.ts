import type { z } from '@hono/zod-openapi';

import type { AclSchema, BucketSchema, FileSchema, ObjectListSchema, ObjectSchema, TenantSchema } from './schemas.ts';

/** Example answers in the OpenAPI document: one tenant, one file, its bucket and its object. */

const etag = '5d41402abc4b2a76b9719d911017c592';
const time = '2026-01-15T10:30:00.000Z';

export const tenantExample: z.output<typeof TenantSchema> = {
  tenant_uuid: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55',
  tenant_slug: 'acme',
  buckets: ['acme-uploads'],
  quota_bytes: 10_737_418_240,
  created_at: time,
};

export const fileExample: z.output<typeof FileSchema> = {
  id: '019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d',
  filename: 'report.pdf',
  content_type: 'application/pdf',
  size_bytes: 1_024_000,
  bucket: 'acme-uploads',
  storage_key: 'files/019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d',
  owner_id: 'user-123',
  tenant_uuid: tenantExample.tenant_uuid,
  is_public: false,
  status: 'available',
  etag,
  sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
  metadata: { project: 'apollo' },
  created_at: time,
  updated_at: time,
};

export const objectExample: z.output<typeof ObjectSchema> = {
  bucket: 'acme-uploads',
  key: 'uploads/document.pdf',
  etag,
  size_bytes: 1_024_000,
  content_type: 'application/pdf',
  storage_class: 'STANDARD',
};

export const objectListExample: z.output<typeof ObjectListSchema> = {
  objects: [{ key: 'uploads/document.pdf', size_bytes: 1_024_000, etag, last_modified: time, storage_class: 'STANDARD' }],
  common_prefixes: ['uploads/2026/'],
  is_truncated: true,
  next_continuation_token: 'q3Zk9XfPp0cdXBsb2Fkcy9kb2N1bWVudC5wZGY',
};

export const bucketExample: z.output<typeof BucketSchema> = {
  name: 'acme-uploads',
  region: 'us-east-1',
  creation_date: time,
  versioning_enabled: false,
  tenant_uuid: tenantExample.tenant_uuid,
};

export const aclExample: z.output<typeof AclSchema> = {
  owner: { display_name: 'coffer', id: 'coffer' },
  grants: [
    { grantee: { type: 'CanonicalUser', id: 'coffer', display_name: 'coffer' }, permission: 'FULL_CONTROL' },
    { grantee: { type: 'Group', uri: 'http://acs.amazonaws.com/groups/global/AllUsers' }, permission: 'READ' },
  ],
};

export const presignedUrlExample = `https://acme-uploads.s3.us-east-1.amazonaws.com/${fileExample.storage_key}?X-Amz-Expires=3600&X-Amz-Signature=a1b2c3`;
