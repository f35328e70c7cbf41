import type { Grant, Owner } from '@aws-sdk/client-s3';
import { cannedAcls, aclOf } from '@coffer/storage-core';
import type { Acl, AclGrant, CannedAcl } from '@coffer/storage-core';

/** As the SDK has it. */
export interface AclDocument {
  readonly Owner?: Owner | undefined;
  readonly Grants?: Grant[] | undefined;
}

export function aclFrom({ Owner: owner, Grants: grants = [] }: AclDocument): Acl {
  const id = owner?.ID ?? '';
  return { owner: { id, displayName: owner?.DisplayName ?? id }, grants: grants.flatMap(grantFrom) };
}

function grantFrom({ Grantee: grantee, Permission: permission }: Grant): AclGrant[] {
  if (grantee === undefined || permission === undefined) return [];
  const { ID: id, URI: uri, DisplayName: displayName } = grantee;
  return [
    {
      grantee: {
        type: grantee.Type === 'Group' ? 'Group' : 'CanonicalUser',
        ...(id !== undefined && { id }),
        ...(uri !== undefined && { uri }),
        ...(displayName !== undefined && { displayName }),
      },
      permission,
    },
  ];
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

/** The canned ACL that makes just these grants, of those that mean the same whoever owns the bucket. */
export function cannedOf(acl: Acl): CannedAcl | undefined {
  const wanted = spelled(acl);
  return cannedAcls.find((canned) => wanted === spelled(aclOf(canned, acl.owner)));
}

function spelled(acl: Acl): string {
  return acl.grants
    .map(({ grantee, permission }) => `${grantee.uri ?? grantee.id ?? ''} ${permission}`)
    .toSorted()
    .join('\n');
}
