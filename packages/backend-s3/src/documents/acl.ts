import type { Acl, AclGrant } from '@coffer/storage-core';

import { documentOf, element, subresourceOf } from './answer.ts';
import { childrenOf, textOf } from './xml.ts';
import type { XmlElement } from './xml.ts';

/** The request of PutObjectAcl. */
export function aclDocument({ owner, grants }: Acl): string {
  const spelled = grants.map(({ grantee, permission }) => {
    const { type, id, uri } = grantee;
    const who = `${id === undefined ? '' : element('ID', id)}${uri === undefined ? '' : element('URI', uri)}`;
    const schema = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
    return `<Grant><Grantee ${schema} xsi:type="${type}">${who}</Grantee>${element('Permission', permission)}</Grant>`;
  });
  const list = `<AccessControlList>${spelled.join('')}</AccessControlList>`;
  return documentOf('AccessControlPolicy', `<Owner>${element('ID', owner.id)}</Owner>${list}`);
}

/** Reads an answer to GetObjectAcl or GetBucketAcl. */
export function aclFrom(answer: string): Acl {
  const root = subresourceOf(answer, 'AccessControlPolicy');
  const [owner] = childrenOf(root, 'Owner');
  const id = owner && textOf(owner, 'ID');
  const displayName = owner && textOf(owner, 'DisplayName');
  const grants = childrenOf(root, 'AccessControlList').flatMap((list) => childrenOf(list, 'Grant'));
  return { owner: { id: id ?? '', displayName: displayName ?? id ?? '' }, grants: grants.flatMap(grantFrom) };
}

function grantFrom(grant: XmlElement): AclGrant[] {
  const [grantee] = childrenOf(grant, 'Grantee');
  const permission = textOf(grant, 'Permission') as AclGrant['permission'] | undefined;
  if (grantee === undefined || permission === undefined) return [];
  return [grantOf(permission, { id: textOf(grantee, 'ID'), uri: textOf(grantee, 'URI'), displayName: textOf(grantee, 'DisplayName') })];
}

/** The xsi:type of a grantee says so too, but attributes are not read: only groups have a URI. */
export function grantOf(
  permission: AclGrant['permission'],
  { id, uri, displayName }: Readonly<Record<'id' | 'uri' | 'displayName', string | undefined>>,
): AclGrant {
  const grantee = {
    type: uri === undefined ? 'CanonicalUser' : 'Group',
    ...(id !== undefined && { id }),
    ...(uri !== undefined && { uri }),
    ...(displayName !== undefined && { displayName }),
  } as const;
  return { grantee, permission };
}
