import type { CallContext } from '@coffer/storage-core';

import { assertGoesOn } from './paging.ts';
import type { Store } from './store.ts';
import type { ListedBucket } from './transport.ts';

/** The buckets of the credentials, as the provider lists them. Where it can, only those that begin with `prefix`. */
export async function listBuckets(store: Store, ctx: CallContext, prefix?: string): Promise<readonly ListedBucket[]> {
  const found: ListedBucket[] = [];
  // Paging is AWS's alone; others take the parameters for a bucket's.
  const paging = store.settings.isAws ? { maxBuckets: 1000, ...(prefix !== undefined && { prefix }) } : {};
  let token: string | undefined;
  do {
    const page = await store.transport.listBuckets({ ...paging, ...(token !== undefined && { continuationToken: token }) }, ctx);
    assertGoesOn(token, page.continuationToken);
    for (const bucket of page.buckets) found.push(bucket); // as arguments they would be too many
    token = page.continuationToken;
  } while (token !== undefined);
  return found;
}
