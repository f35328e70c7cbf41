import { aclOf, cannedAcls, hasCode, storageError } from '@coffer/storage-core';
import type { Acl, AclGrant, CallContext, CannedAcl, ObjectAddress } from '@coffer/storage-core';

import { accessDenied } from './errors.ts';
import { lacksAcls } from './profile.ts';
import { isAboutAccount } from './provider-error.ts';
import type { Store } from './store.ts';

/**
 * The ACL that a copy would lose: its canned name, or its grants if no canned ACL matches. Most objects are private, as copies are anyway,
 * so whether the server honours ACLs matters only for the rest.
 * @throws access_denied if the credentials may not read it, or not set it
 */
export async function carriedAcl(
  store: Store,
  source: ObjectAddress,
  destination: ObjectAddress,
  ctx: CallContext,
): Promise<{ readonly canned?: CannedAcl; readonly acl?: Acl } | undefined> {
  if (!store.endpoint.reportsOwners) return undefined;
  const { bucket } = destination; // the credentials may only read the source
  const acl = await store.transport.getAcl(source, ctx).catch(async (error: unknown) => {
    const isAboutAcls = hasCode(error, 'access_denied', 'not_supported', 'acl_not_supported');
    if (!isAboutAcls || !lacksAcls(await store.endpoint.profile(bucket, ctx))) throw explained(error);
    return undefined;
  });
  if (acl?.owner.id === '') store.endpoint.reportsOwners = false;
  const canned = acl && cannedOf(acl);
  if (acl === undefined || canned === 'private') return undefined;
  const profile = await store.endpoint.profile(bucket, ctx);
  if (profile.aclDenied) throw explained(accessDenied('s3:PutObjectAcl'));
  if (!profile.acl) return undefined;
  return canned === undefined ? { acl } : { canned };
}

/** Whoever may not carry the ACL over may still copy the object without it. */
function explained(error: unknown): unknown {
  if (!hasCode(error, 'access_denied') || isAboutAccount(error)) return error;
  return storageError('access_denied', `${error.message} A copy made with the ACL "private" does not need it.`, {
    cause: error.cause,
  });
}

/**
 * Gives a copy grants that no canned ACL matches. A copy belongs to whoever made it, and no server lets an ACL name another owner: what the
 * owner of the source had is the new owner's.
 */
export async function setGrants(store: Store, copy: ObjectAddress, acl: Acl, ctx: CallContext): Promise<void> {
  const own = await store.transport.getAcl(copy, ctx).catch((error: unknown) => {
    if (hasCode(error, 'access_denied')) return undefined; // the credentials may only set it
    throw error;
  });
  const carried = own === undefined ? acl : ownedBy(own.owner, acl);
  if (own === undefined || spelled(carried) !== spelled(own)) await store.administration.putObjectAcl(copy, carried, ctx);
}

function ownedBy(owner: Acl['owner'], { owner: former, grants }: Acl): Acl {
  const inherited = grants.map(({ grantee, permission }): AclGrant => ({
    grantee: grantee.id === former.id ? { type: 'CanonicalUser', ...owner } : grantee,
    permission,
  }));
  const unique = new Map(inherited.map((grant) => [spelledGrant(grant), grant])); // the new owner may have had grants of its own
  return { owner, grants: [...unique.values()] };
}

/** The canned ACL with exactly these grants, of those that mean the same whoever owns the bucket. */
function cannedOf(acl: Acl): CannedAcl | undefined {
  const wanted = spelled(acl);
  return cannedAcls.find((canned) => wanted === spelled(aclOf(canned, acl.owner)));
}

function spelled(acl: Acl): string {
  return acl.grants.map(spelledGrant).toSorted().join('\n');
}

function spelledGrant({ grantee, permission }: AclGrant): string {
  return `${grantee.uri ?? grantee.id ?? ''} ${permission}`;
}
