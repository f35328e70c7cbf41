import type { Acl, AclOperations, CallContext, CannedAcl } from '@coffer/storage-core';

import { assertAcls, withAclNamed, withoutAcls } from './acl-support.ts';
import { assertKeyHolds } from './key-support.ts';
import type { Store } from './store.ts';

export function aclOperations(store: Store): AclOperations {
  const { administration, transport } = store;
  const named = (setting: Promise<void>, acl: CannedAcl): Promise<void> =>
    setting.catch((error: unknown) => {
      throw withAclNamed(error, acl);
    });
  /** Credentials that may not probe the server may still read an ACL; if it names no owner, the server has no ACLs. */
  const read = async (bucket: string, ctx: CallContext, ask: () => Promise<Acl>): Promise<Acl> => {
    const profile = await store.endpoint.profileIfAllowed(bucket, ctx);
    if (profile?.acl === false) throw withoutAcls(store);
    const acl = await ask();
    if (profile === undefined && acl.owner.id === '') throw withoutAcls(store);
    return acl;
  };
  return {
    getObjectAcl: (at, ctx) => read(at.bucket, ctx, () => transport.getAcl(at, ctx)),
    async setObjectAcl(at, acl, ctx) {
      await assertAcls(store, at.bucket, ctx);
      await assertKeyHolds(store, at, ctx);
      await named(administration.putObjectAcl(at, acl, ctx), acl);
      return transport.getAcl(at, ctx);
    },
    getBucketAcl: (bucket, ctx) => read(bucket, ctx, () => administration.getBucketAcl(bucket, ctx)),
    async setBucketAcl(bucket, acl, ctx) {
      await assertAcls(store, bucket, ctx);
      await named(administration.putBucketAcl(bucket, acl, ctx), acl);
      return administration.getBucketAcl(bucket, ctx);
    },
  };
}
