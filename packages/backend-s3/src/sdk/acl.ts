import type { GetObjectAclCommandOutput, Grant } from '@aws-sdk/client-s3';
import type { Acl, AclGrant } from '@coffer/storage-core';

import { grantOf } from '../documents/acl.ts';

/** Reads an answer to GetObjectAcl or GetBucketAcl. */
export function aclFromOutput({ Owner: owner, Grants: grants = [] }: Pick<GetObjectAclCommandOutput, 'Owner' | 'Grants'>): Acl {
  const id = owner?.ID ?? '';
  return { owner: { id, displayName: owner?.DisplayName ?? id }, grants: grants.flatMap(grantFrom) };
}

function grantFrom({ Grantee: grantee, Permission: permission }: Grant): AclGrant[] {
  if (grantee === undefined || permission === undefined) return [];
  return [grantOf(permission, { id: grantee.ID, uri: grantee.URI, displayName: grantee.DisplayName })];
}

export function grantsTo(acl: Acl): Grant[] {
  return acl.grants.map(({ grantee, permission }) => ({
    Grantee: {
      Type: grantee.type,
      ...(grantee.id !== undefined && { ID: grantee.id }),
      ...(grantee.uri !== undefined && { URI: grantee.uri }),
    },
    Permission: permission,
  }));
}
