import { ListBucketsCommand } from '@aws-sdk/client-s3';
import type { ListBucketsCommandOutput } from '@aws-sdk/client-s3';
import type { CallContext } from '@coffer/storage-core';

import { call } from './call.ts';
import type { Store } from './store.ts';

export interface ListedBucket {
  readonly name: string;
  readonly createdAt: Date;
  readonly region?: string;
}

/** The buckets of the credentials, as the provider lists them. Where it can, only those that begin with `prefix`. */
export async function listBuckets(store: Store, ctx: CallContext, prefix?: string): Promise<readonly ListedBucket[]> {
  const found: ListedBucket[] = [];
  let token: string | undefined;
  do {
    const command: ListBucketsCommand = new ListBucketsCommand({
      // Paging is AWS's alone; others take the parameters for a bucket's.
      ...(store.settings.isAws && { MaxBuckets: 1000, ...(prefix !== undefined && { Prefix: prefix }) }),
      ...(token !== undefined && { ContinuationToken: token }),
    });
    const page: ListBucketsCommandOutput = await call({ permission: 's3:ListAllMyBuckets' }, ctx, (options) =>
      store.client.send(command, options),
    );
    for (const { Name: name, CreationDate: createdAt = new Date(0), BucketRegion: region } of page.Buckets ?? []) {
      if (name !== undefined) found.push({ name, createdAt, ...(region !== undefined && { region }) });
    }
    token = page.ContinuationToken;
  } while (token !== undefined && token !== '');
  return found;
}
