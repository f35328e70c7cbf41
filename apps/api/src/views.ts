import type { z } from '@hono/zod-openapi';

import type { FileRecord, Tenant } from '@coffer/files-db';
import type { Acl, BucketInfo, ListPage, ObjectInfo } from '@coffer/storage-core';

import { bindToken } from './continuation-token.ts';
import type { Listing } from './continuation-token.ts';
import type { AclSchema, BucketSchema, FileSchema, ObjectListSchema, ObjectSchema, TenantSchema } from './schemas.ts';

/** Answers in the shapes of the OpenAPI document. Only this file converts to snake_case and ISO 8601 times. */

export function fileView(file: FileRecord): z.output<typeof FileSchema> {
  return {
    id: file.id,
    filename: file.filename,
    content_type: file.contentType,
    size_bytes: file.sizeBytes,
    bucket: file.bucket,
    storage_key: file.storageKey,
    owner_id: file.ownerId,
    tenant_uuid: file.tenantUuid,
    is_public: file.isPublic,
    status: file.status,
    etag: file.etag,
    sha256: file.sha256,
    metadata: file.metadata,
    created_at: file.createdAt.toISOString(),
    updated_at: file.updatedAt.toISOString(),
  };
}

export function objectView(object: ObjectInfo): z.output<typeof ObjectSchema> {
  return {
    bucket: object.bucket,
    key: object.key,
    etag: object.etag,
    size_bytes: object.size,
    content_type: object.contentType,
    storage_class: object.storageClass,
    ...(object.versionId !== undefined && { version_id: object.versionId }),
  };
}

export function listView(page: ListPage, list: Listing): z.output<typeof ObjectListSchema> {
  return {
    objects: page.objects.map((object) => ({
      key: object.key,
      size_bytes: object.size,
      etag: object.etag,
      last_modified: object.lastModified.toISOString(),
      storage_class: object.storageClass,
    })),
    common_prefixes: page.commonPrefixes,
    is_truncated: page.isTruncated,
    ...(page.nextContinuationToken !== undefined && { next_continuation_token: bindToken(list, page.nextContinuationToken) }),
  };
}

export function bucketView(bucket: BucketInfo, tenantUuid: string | null): z.output<typeof BucketSchema> {
  return {
    name: bucket.name,
    region: bucket.region,
    creation_date: bucket.createdAt.toISOString(),
    versioning_enabled: bucket.versioningEnabled,
    tenant_uuid: tenantUuid,
  };
}

export function aclView(acl: Acl): z.output<typeof AclSchema> {
  return {
    owner: { display_name: acl.owner.displayName, id: acl.owner.id },
    grants: acl.grants.map(({ grantee, permission }) => ({
      grantee: {
        type: grantee.type,
        ...(grantee.id !== undefined && { id: grantee.id }),
        ...(grantee.uri !== undefined && { uri: grantee.uri }),
        ...(grantee.displayName !== undefined && { display_name: grantee.displayName }),
      },
      permission,
    })),
  };
}

export function tenantView(tenant: Tenant): z.output<typeof TenantSchema> {
  return {
    tenant_uuid: tenant.tenantUuid,
    tenant_slug: tenant.tenantSlug,
    buckets: tenant.buckets,
    quota_bytes: tenant.quotaBytes,
    created_at: tenant.createdAt.toISOString(),
  };
}
