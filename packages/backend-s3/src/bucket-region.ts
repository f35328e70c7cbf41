import { hasCode, noContext } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import type { Store } from './store.ts';

/** The region of a new bucket. Some servers have only one region and accept any name for it. */
export async function regionMade(store: Store, bucket: string, asked: string = store.settings.region): Promise<string> {
  if (store.settings.isAws) return asked;
  try {
    return await regionTold(store, bucket, noContext);
  } catch {
    return asked; // the credentials may not look, but the bucket exists
  }
}

/** The region as the provider reports it, by HeadBucket or by GetBucketLocation. */
export async function regionTold(store: Store, bucket: string, ctx: CallContext): Promise<string> {
  if (store.endpoint.tellsRegions) {
    const region = await store.transport.headBucket(bucket, ctx);
    if (region !== undefined) return region;
    store.endpoint.tellsRegions = false;
  }
  return regionOf(store, bucket, ctx);
}

/** The region according to GetBucketLocation. If the server names none, it is the signing region (on AWS: us-east-1). */
export async function regionOf(store: Store, bucket: string, ctx: CallContext): Promise<string> {
  const location = await store.administration.getLocation(bucket, ctx).catch((error: unknown) => {
    if (hasCode(error, 'not_supported')) return '';
    throw error;
  });
  if (location === '') return store.settings.isAws ? 'us-east-1' : store.settings.region;
  return location === 'EU' ? 'eu-west-1' : location;
}
