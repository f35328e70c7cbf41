import type { Acl, AclOperations, CallContext, CannedAcl } from '@coffer/storage-core';

import { aclsNotSupported, assertMaySetAcls, translateAclError } from './acl-support.ts';
import { assertKeySupported } from './key-support.ts';
import { lacksAcls } from './profile.ts';
import type { Store } from './store.ts';

export function aclOperations(store: Store): AclOperations {
  const { administration, transport } = store;
  const translated = (setting: Promise<void>, acl: CannedAcl): Promise<void> =>
    setting.catch((error: unknown) => {
      throw translateAclError(error, acl);
    });
  /** Credentials that may not probe the server, or not set ACLs, may still read one; if it names no owner, the server has no ACLs. */
  const read = async (bucket: string, ctx: CallContext, ask: () => Promise<Acl>): Promise<Acl> => {
    const profile = await store.endpoint.profileIfAllowed(bucket, ctx);
    if (lacksAcls(profile)) throw aclsNotSupported(store);
    const acl = await ask();
    if (profile?.acl !== true && acl.owner.id === '') throw aclsNotSupported(store);
    return acl;
  };
  // Whoever sets an ACL is told what it became. Credentials that may not read that are refused before anything has changed.
  return {
    getObjectAcl: (at, ctx) => read(at.bucket, ctx, () => transport.getAcl(at, ctx)),
    async setObjectAcl(at, acl, ctx) {
      await assertMaySetAcls(store, at.bucket, ctx);
      await assertKeySupported(store, at, ctx);
      await transport.getAcl(at, ctx);
      await translated(administration.putObjectAcl(at, acl, ctx), acl);
      return transport.getAcl(at, ctx);
    },
    getBucketAcl: (bucket, ctx) => read(bucket, ctx, () => administration.getBucketAcl(bucket, ctx)),
    async setBucketAcl(bucket, acl, ctx) {
      await assertMaySetAcls(store, bucket, ctx);
      await administration.getBucketAcl(bucket, ctx);
      await translated(administration.putBucketAcl(bucket, acl, ctx), acl);
      return administration.getBucketAcl(bucket, ctx);
    },
  };
}
