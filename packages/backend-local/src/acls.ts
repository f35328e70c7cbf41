import { aclOf } from '@coffer/storage-core';
import type { Acl, AclOperations } from '@coffer/storage-core';

import type { Using } from './lazy-store.ts';

// One owner owns everything stored on the machine.
const owner: Acl['owner'] = { id: 'coffer', displayName: 'coffer' };

/** ACLs are stored as canned names; the grants are derived from them. */
export function aclOperations(using: Using): AclOperations {
  return {
    getObjectAcl: (at, ctx) => using(ctx, async ({ objects }) => aclOf((await objects.find(at)).acl, owner)),
    setObjectAcl: (at, acl, ctx) =>
      using(ctx, async ({ objects, index }) => {
        await objects.setAcl(at, acl);
        await index.durable();
        return aclOf(acl, owner);
      }),
    getBucketAcl: (bucket, ctx) => using(ctx, async ({ buckets }) => aclOf((await buckets.find(bucket)).acl, owner)),
    setBucketAcl: (bucket, acl, ctx) =>
      using(ctx, async ({ buckets, index }) => {
        await buckets.setAcl(bucket, acl);
        await index.durable();
        return aclOf(acl, owner);
      }),
  };
}
