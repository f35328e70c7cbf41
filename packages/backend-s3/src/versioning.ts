import { GetBucketVersioningCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import type { CallContext, VersioningOperations } from '@coffer/storage-core';

import { call } from './call.ts';
import type { Store } from './store.ts';

export function versioningOperations(store: Store): VersioningOperations {
  return {
    getVersioning: (bucket, ctx) => isVersioned(store, bucket, ctx),
    async setVersioning(bucket, enabled, ctx) {
      const command = new PutBucketVersioningCommand({
        Bucket: bucket,
        VersioningConfiguration: { Status: enabled ? 'Enabled' : 'Suspended' },
      });
      await call({ bucket, permission: 's3:PutBucketVersioning' }, ctx, async (options) =>
        (await store.sdk()).client.send(command, options),
      );
    },
  };
}

export async function isVersioned(store: Store, bucket: string, ctx: CallContext): Promise<boolean> {
  const command = new GetBucketVersioningCommand({ Bucket: bucket });
  const { Status } = await call({ bucket, permission: 's3:GetBucketVersioning' }, ctx, async (options) =>
    (await store.sdk()).client.send(command, options),
  );
  return Status === 'Enabled';
}
