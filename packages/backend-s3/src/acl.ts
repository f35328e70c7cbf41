import type { AclOperations, CannedAcl } from '@coffer/storage-core';

import { assertAcls, assertKeyHolds, withAclNamed } from './store.ts';
import type { Store } from './store.ts';

export function aclOperations(store: Store): AclOperations {
  const { administration, transport } = store;
  const named = (setting: Promise<void>, acl: CannedAcl): Promise<void> =>
    setting.catch((error: unknown) => {
      throw withAclNamed(error, acl);
    });
  return {
    async getObjectAcl(at, ctx) {
      await assertAcls(store, at.bucket, ctx);
      return transport.getAcl(at, ctx);
    },
    async setObjectAcl(at, acl, ctx) {
      await assertAcls(store, at.bucket, ctx);
      await assertKeyHolds(store, at, ctx);
      await named(administration.putObjectAcl(at, acl, ctx), acl);
      return transport.getAcl(at, ctx);
    },
    async getBucketAcl(bucket, ctx) {
      await assertAcls(store, bucket, ctx);
      return administration.getBucketAcl(bucket, ctx);
    },
    async setBucketAcl(bucket, acl, ctx) {
      await assertAcls(store, bucket, ctx);
      await named(administration.putBucketAcl(bucket, acl, ctx), acl);
      return administration.getBucketAcl(bucket, ctx);
    },
  };
}
