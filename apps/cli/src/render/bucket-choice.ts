import type { Config } from '@coffer/runtime';
import type { BucketChoice } from '@coffer/storage-core';

/** Which bucket was chosen, and why, in one sentence. */
export function bucketChoiceText({ bucket, because }: BucketChoice, { storage, tenantId = '' }: Config): string {
  switch (because) {
    case 'explicit':
      return `bucket ${bucket}: named by --bucket.`;
    case 'tenant_mapping':
      return `bucket ${bucket}: registered for the tenant ${tenantId} (TENANT_ID).`;
    case 'tenant_pattern':
      return `bucket ${bucket}: made from the tenant ${tenantId} (TENANT_ID) by STORAGE_BUCKET_NAMING_PATTERN (${storage.bucketNamingPattern}).`;
    case 'shared':
      return `bucket ${bucket}: STORAGE_SHARED_BUCKET, since TENANT_ID names no tenant.`;
    case 'default':
      return `bucket ${bucket}: STORAGE_BUCKET, since STORAGE_ENABLE_MULTI_TENANCY is off.`;
  }
}
