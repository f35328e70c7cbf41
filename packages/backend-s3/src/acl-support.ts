import { storageError } from '@coffer/storage-core';
import type { CallContext, CannedAcl, StorageError } from '@coffer/storage-core';

import { aclHeader } from './acl-header.ts';
import { accessDenied } from './errors.ts';
import { causeName } from './provider-error.ts';
import type { Store } from './store.ts';

/** @throws acl_not_supported if the server has no ACLs or ignores them; never for `private`, which every server does anyway */
export async function assertAclSupported(store: Store, bucket: string, acl: CannedAcl | undefined, ctx: CallContext): Promise<void> {
  if (aclHeader(acl).acl !== undefined) await assertMaySetAcls(store, bucket, ctx);
}

/** @throws acl_not_supported if the server has no ACLs or ignores them; access_denied if the credentials may not set them */
export async function assertMaySetAcls(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  const { acl, aclDenied } = await store.endpoint.profile(bucket, ctx);
  if (aclDenied) throw accessDenied('s3:PutObjectAcl');
  if (!acl) throw aclsNotSupported(store);
}

export function aclsNotSupported({ settings }: Store): StorageError {
  return storageError('acl_not_supported', `The ${settings.name} backend does not support access control lists at this endpoint.`);
}

const universalAcls: ReadonlySet<CannedAcl> = new Set(['private', 'public-read']);

/** Reports an ACL that the server does not know as `invalid_argument`: servers that do support others reject it in all sorts of ways. */
export function translateAclError(error: unknown, acl: CannedAcl | undefined): unknown {
  if (acl === undefined || universalAcls.has(acl) || causeName(error) !== 'NotImplemented') return error;
  return storageError('invalid_argument', `The storage provider does not know the ACL "${acl}".`, { cause: error });
}
