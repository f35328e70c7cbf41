import { hasCode } from '@coffer/storage-core';
import type { BucketInfo, BucketOperations, CallContext } from '@coffer/storage-core';

import type { BucketRow } from './bucket-index.ts';
import { settle } from './commit.ts';
import type { Using } from './lazy-store.ts';
import type { Store } from './store.ts';

export interface BucketDefaults {
  readonly region: string;
  readonly now: () => Date;
}

/** Buckets are rows; their directories hold only bytes. There is nothing to provision, since the HTTP handler answers CORS. */
export function bucketOperations(using: Using, { region, now }: BucketDefaults): BucketOperations {
  return {
    create: (name, options, ctx) =>
      using(ctx, (store) => create(store, { name, region: options.region ?? region, acl: options.acl ?? 'private', created: now() })),
    head: (name, ctx) => using(ctx, async ({ buckets }) => infoOf(await buckets.find(name))),
    list: (ctx) => using(ctx, async ({ buckets }) => (await buckets.all()).map(infoOf)),
    delete: (name, { force = false }, ctx) => using(ctx, (store) => remove(store, name, { force, ctx })),
  };
}

async function create(store: Store, row: BucketRow): Promise<BucketInfo> {
  await store.blobs.createBucket(row.name);
  try {
    await store.buckets.create(row);
  } catch (error) {
    if (!hasCode(error, 'bucket_already_exists')) await store.blobs.removeBucket(row.name);
    throw error;
  }
  await store.index.durable();
  return infoOf(row);
}

async function remove(store: Store, name: string, { force, ctx }: { readonly force: boolean; readonly ctx: CallContext }): Promise<void> {
  for (let gone = false; !gone;) {
    ctx.signal?.throwIfAborted();
    const removed = await store.buckets.remove(name, force);
    await settle(store, name, removed.blobs);
    await store.index.freed();
    gone = removed.gone;
  }
  await store.blobs.removeBucket(name);
}

function infoOf(row: BucketRow): BucketInfo {
  return { name: row.name, region: row.region, createdAt: row.created, versioningEnabled: false };
}
