import { hasCode, noContext } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import type { Store } from './store.ts';

/** Where a new bucket lies: some servers have one place only, and take any region for it. */
export async function regionMade(store: Store, bucket: string, asked: string = store.settings.region): Promise<string> {
  if (store.settings.isAws) return asked;
  try {
    return await regionTold(store, bucket, noContext);
  } catch {
    return asked; // nobody may look, and the bucket is there
  }
}

/** As the provider tells it, in whichever way it does. */
export async function regionTold(store: Store, bucket: string, ctx: CallContext): Promise<string> {
  if (store.endpoint.tellsRegions) {
    const region = await store.transport.headBucket(bucket, ctx);
    if (region !== undefined) return region;
    store.endpoint.tellsRegions = false;
  }
  return regionOf(store, bucket, ctx);
}

/** As GetBucketLocation has it. A server that names no region takes the one that is signed for. */
export async function regionOf(store: Store, bucket: string, ctx: CallContext): Promise<string> {
  const location = await store.administration.getLocation(bucket, ctx).catch((error: unknown) => {
    if (hasCode(error, 'not_supported')) return '';
    throw error;
  });
  if (location === '') return store.settings.isAws ? 'us-east-1' : store.settings.region;
  return location === 'EU' ? 'eu-west-1' : location;
}
