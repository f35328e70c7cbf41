import { storageError } from '@coffer/storage-core';
import type { AclOperations, CallContext, CannedAcl } from '@coffer/storage-core';

import { assertKeyHolds, withAclNamed } from './store.ts';
import type { Store } from './store.ts';

export function aclOperations(store: Store): AclOperations {
  const { administration, transport } = store;
  const assertAcls = async (bucket: string, ctx: CallContext): Promise<void> => {
    ctx.signal?.throwIfAborted();
    if (!(await store.profile(bucket, ctx)).acl) {
      throw storageError('acl_not_supported', `The ${store.settings.name} backend has no access control lists at this endpoint.`);
    }
  };
  const named = (setting: Promise<void>, acl: CannedAcl): Promise<void> =>
    setting.catch((error: unknown) => {
      throw withAclNamed(error, acl);
    });
  return {
    async getObjectAcl(at, ctx) {
      await assertAcls(at.bucket, ctx);
      return transport.getAcl(at, ctx);
    },
    async setObjectAcl(at, acl, ctx) {
      await assertAcls(at.bucket, ctx);
      await assertKeyHolds(store, at, ctx);
      await named(administration.putObjectAcl(at, acl, ctx), acl);
      return transport.getAcl(at, ctx);
    },
    async getBucketAcl(bucket, ctx) {
      await assertAcls(bucket, ctx);
      return administration.getBucketAcl(bucket, ctx);
    },
    async setBucketAcl(bucket, acl, ctx) {
      await assertAcls(bucket, ctx);
      await named(administration.putBucketAcl(bucket, acl, ctx), acl);
      return administration.getBucketAcl(bucket, ctx);
    },
  };
}
