import { hasCode } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { misdirected } from './errors.ts';
import { assertAdvances } from './paging.ts';
import type { Store } from './store.ts';
import type { ListedBucket } from './transport.ts';

/** The buckets that the provider lists for the credentials. On AWS, only those whose names begin with `prefix`. */
export async function listBuckets(store: Store, ctx: CallContext, prefix?: string): Promise<readonly ListedBucket[]> {
  const found: ListedBucket[] = [];
  // Only AWS has paging here; other servers take the parameters for those of a bucket.
  const paging = store.settings.isAws ? { maxBuckets: 1000, ...(prefix !== undefined && { prefix }) } : {};
  let token: string | undefined;
  do {
    const page = await store.transport
      .listBuckets({ ...paging, ...(token !== undefined && { continuationToken: token }) }, ctx)
      .catch((error: unknown) => {
        throw hasCode(error, 'no_such_bucket') ? misdirected(error) : error;
      });
    assertAdvances(token, page.continuationToken);
    for (const bucket of page.buckets) found.push(bucket); // spreading them as arguments would be too many
    token = page.continuationToken;
  } while (token !== undefined);
  return found;
}
