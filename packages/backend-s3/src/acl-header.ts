import type { CannedAcl } from '@coffer/storage-core';

/** `private` is never sent: every server applies it anyway, and some buckets refuse any mention of ACLs. */
export type AclHeader = Exclude<CannedAcl, 'private'>;

/** The ACL as it is sent to the provider. */
export function aclHeader(acl: CannedAcl | undefined): { readonly acl?: AclHeader } {
  return acl === undefined || acl === 'private' ? {} : { acl };
}

/** The permission that a write needs, as the error of its refusal names it. */
export function writePermission({ acl }: { readonly acl?: AclHeader }): string {
  return acl === undefined ? 's3:PutObject' : 's3:PutObject or s3:PutObjectAcl';
}
