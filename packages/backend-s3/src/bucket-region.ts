import { hasCode, noContext } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import type { Store } from './store.ts';

/** The region of a new bucket. Some servers have only one region and accept any name for it. */
export async function regionOfNewBucket(store: Store, bucket: string, requested: string = store.settings.region): Promise<string> {
  if (store.settings.isAws) return requested;
  try {
    return await reportedRegion(store, bucket, noContext);
  } catch {
    return requested; // the credentials may not look, but the bucket exists
  }
}

/** The region as the provider reports it, by HeadBucket or by GetBucketLocation. */
export async function reportedRegion(store: Store, bucket: string, ctx: CallContext): Promise<string> {
  if (store.endpoint.reportsRegions) {
    const region = await store.transport.headBucket(bucket, ctx);
    if (region !== undefined) return region;
    store.endpoint.reportsRegions = false;
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
