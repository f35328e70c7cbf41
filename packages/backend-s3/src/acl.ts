import { GetBucketAclCommand, PutBucketAclCommand, PutObjectAclCommand } from '@aws-sdk/client-s3';
import type { BucketCannedACL } from '@aws-sdk/client-s3';
import { storageError } from '@coffer/storage-core';
import type { Acl, AclOperations, CallContext, CannedAcl, ObjectAddress } from '@coffer/storage-core';

import { call } from './call.ts';
import { aclFrom, grantsTo } from './grants.ts';
import { assertKeyHolds } from './store.ts';
import type { Store } from './store.ts';

export function aclOperations(store: Store): AclOperations {
  const assertAcls = async (bucket: string, ctx: CallContext): Promise<void> => {
    ctx.signal?.throwIfAborted();
    if (!(await store.profile(bucket)).acl) {
      throw storageError('acl_not_supported', `The ${store.settings.name} backend has no access control lists at this endpoint.`);
    }
  };
  return {
    async getObjectAcl(at, ctx) {
      await assertAcls(at.bucket, ctx);
      return store.transport.getAcl(at, ctx);
    },
    async setObjectAcl(at, acl, ctx) {
      await assertAcls(at.bucket, ctx);
      await assertKeyHolds(store, at, ctx);
      const command = new PutObjectAclCommand({ Bucket: at.bucket, Key: at.key, ACL: acl });
      await call({ ...at, permission: 's3:PutObjectAcl' }, ctx, async (options) => (await store.sdk()).client.send(command, options));
      return store.transport.getAcl(at, ctx);
    },
    async getBucketAcl(bucket, ctx) {
      await assertAcls(bucket, ctx);
      return getBucketAcl(store, bucket, ctx);
    },
    async setBucketAcl(bucket, acl, ctx) {
      await assertAcls(bucket, ctx);
      const command = new PutBucketAclCommand({ Bucket: bucket, ACL: bucketAclOf(acl) });
      await call({ bucket, permission: 's3:PutBucketAcl' }, ctx, async (options) => (await store.sdk()).client.send(command, options));
      return getBucketAcl(store, bucket, ctx);
    },
  };
}

function getBucketAcl(store: Store, bucket: string, ctx: CallContext): Promise<Acl> {
  const command = new GetBucketAclCommand({ Bucket: bucket });
  return call({ bucket, permission: 's3:GetBucketAcl' }, ctx, async (options) =>
    aclFrom(await (await store.sdk()).client.send(command, options)),
  );
}

/** Grants that no canned ACL makes, onto an object that is there. */
export async function setGrants(store: Store, at: ObjectAddress, acl: Acl, ctx: CallContext): Promise<void> {
  const policy = { Owner: { ID: acl.owner.id }, Grants: grantsTo(acl) };
  const command = new PutObjectAclCommand({ Bucket: at.bucket, Key: at.key, AccessControlPolicy: policy });
  await call({ ...at, permission: 's3:PutObjectAcl' }, ctx, async (options) => (await store.sdk()).client.send(command, options));
}

/** The SDK knows four names for buckets; which others a server takes is the server's to say. */
export function bucketAclOf(acl: CannedAcl): BucketCannedACL {
  return acl as BucketCannedACL;
}
