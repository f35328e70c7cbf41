import { CreateBucketCommand } from '@aws-sdk/client-s3';
import type { BucketLocationConstraint } from '@aws-sdk/client-s3';
import type { CallContext, CannedAcl } from '@coffer/storage-core';

import { bucketAclOf } from './acl.ts';
import { call } from './call.ts';
import { causeName, wasRepeated } from './errors.ts';
import type { Store } from './store.ts';

// The first region has no name as a place.
const nowhereElse = 'us-east-1';

export async function createBucket(
  store: Store,
  bucket: string,
  { region, acl }: { readonly region?: string; readonly acl?: CannedAcl },
  ctx: CallContext,
): Promise<void> {
  const send = async (place: string): Promise<void> => {
    const command = createCommand(bucket, place, acl);
    try {
      await call({ bucket, permission: 's3:CreateBucket' }, ctx, async (options) => (await store.sdk()).client.send(command, options));
    } catch (error) {
      if (causeName(error) !== 'BucketAlreadyOwnedByYou' || !wasRepeated(error)) throw error; // else of a first attempt, whose answer got lost
    }
  };
  const { region: configured, isAws } = store.settings;
  try {
    await send(region ?? configured);
  } catch (error) {
    // A server that is not AWS may have one place only, whatever region is signed for.
    const isUnknown = /LocationConstraint|InvalidRegion/.test(causeName(error));
    if (isAws || !isUnknown || (region ?? configured) !== configured || configured === nowhereElse) throw error;
    await send(nowhereElse);
  }
}

function createCommand(bucket: string, place: string, acl: CannedAcl | undefined): CreateBucketCommand {
  const hasName = place !== nowhereElse;
  const command = new CreateBucketCommand({
    Bucket: bucket,
    ...(hasName && { CreateBucketConfiguration: { LocationConstraint: place as BucketLocationConstraint } }),
    ...(acl !== undefined && acl !== 'private' && { ACL: bucketAclOf(acl) }),
  });
  if (hasName) return command;
  // The SDK fills in the region that it signs for.
  command.middlewareStack.add(
    (next) => (args) => {
      delete args.input.CreateBucketConfiguration;
      return next(args);
    },
    { step: 'initialize', priority: 'low', name: 'withoutPlace' },
  );
  return command;
}
