import { storageError } from './errors.ts';

/**
 * S3's canned ACLs.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
 */
export const cannedAcls = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
] as const;

/** The name of one of S3's canned ACLs. */
export type CannedAcl = (typeof cannedAcls)[number];

/**
 * Who holds a permission: an account, or one of S3's groups.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Grantee.html
 */
export interface AclGrantee {
  readonly type: 'CanonicalUser' | 'Group';
  /** Set for a `CanonicalUser`. */
  readonly id?: string;
  /** Set for a `Group`, such as `http://acs.amazonaws.com/groups/global/AllUsers`. */
  readonly uri?: string;
  readonly displayName?: string;
}

/**
 * One permission of one grantee.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Grant.html
 */
export interface AclGrant {
  readonly grantee: AclGrantee;
  readonly permission: 'FULL_CONTROL' | 'READ' | 'READ_ACP' | 'WRITE' | 'WRITE_ACP';
}

/** The ACL of an object or a bucket, in S3's terms. */
export interface Acl {
  readonly owner: { readonly id: string; readonly displayName: string };
  readonly grants: readonly AclGrant[];
}

const allUsers = 'http://acs.amazonaws.com/groups/global/AllUsers';
const authenticatedUsers = 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers';

/** Whether `value` is one of `cannedAcls`. */
export function isCannedAcl(value: string): value is CannedAcl {
  return (cannedAcls as readonly string[]).includes(value);
}

/** @throws InvalidArgumentError when `value` is not a canned ACL. */
export function assertCannedAcl(value: string): asserts value is CannedAcl {
  if (!isCannedAcl(value)) {
    throw storageError('invalid_argument', `Unknown canned ACL "${String(value)}"; use one of ${cannedAcls.join(', ')}.`);
  }
}

/** The grants that S3 derives from a canned ACL, for backends that store only its name. */
export function aclOf(canned: CannedAcl, owner: Acl['owner']): Acl {
  const group = (uri: string, permission: AclGrant['permission']): AclGrant => ({ grantee: { type: 'Group', uri }, permission });
  const grants: AclGrant[] = [
    { grantee: { type: 'CanonicalUser', id: owner.id, displayName: owner.displayName }, permission: 'FULL_CONTROL' },
  ];
  if (isPublicRead(canned)) grants.push(group(allUsers, 'READ'));
  if (canned === 'public-read-write') grants.push(group(allUsers, 'WRITE'));
  if (canned === 'authenticated-read') grants.push(group(authenticatedUsers, 'READ'));
  return { owner, grants };
}

/** Whether a canned ACL lets anybody read without credentials. */
export function isPublicRead(canned: CannedAcl): boolean {
  return canned === 'public-read' || canned === 'public-read-write';
}
