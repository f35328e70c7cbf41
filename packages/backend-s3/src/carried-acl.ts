import { aclOf, cannedAcls, hasCode } from '@coffer/storage-core';
import type { Acl, CallContext, CannedAcl, ObjectAddress } from '@coffer/storage-core';

import type { Store } from './store.ts';

/**
 * The ACL that a copy would lose: its canned name, or its grants if no canned ACL matches. Most objects are private, as copies are anyway,
 * so whether the server honours ACLs matters only for the rest.
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
    if (!isAboutAcls || (await store.endpoint.profileIfAllowed(bucket, ctx))?.acl !== false) throw error;
    return undefined;
  });
  if (acl?.owner.id === '') store.endpoint.reportsOwners = false;
  const canned = acl && cannedOf(acl);
  if (acl === undefined || canned === 'private' || !(await store.endpoint.profile(bucket, ctx)).acl) return undefined;
  return canned === undefined ? { acl } : { canned };
}

/** The canned ACL with exactly these grants, of those that mean the same whoever owns the bucket. */
function cannedOf(acl: Acl): CannedAcl | undefined {
  const wanted = spelled(acl);
  return cannedAcls.find((canned) => wanted === spelled(aclOf(canned, acl.owner)));
}

function spelled(acl: Acl): string {
  return acl.grants
    .map(({ grantee, permission }) => `${grantee.uri ?? grantee.id ?? ''} ${permission}`)
    .toSorted()
    .join('\n');
}
