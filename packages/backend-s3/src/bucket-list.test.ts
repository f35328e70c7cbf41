import { noContext } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import { listBuckets } from './bucket-list.ts';
import type { Store } from './store.ts';

it('takes all buckets of a provider that has no pages, however many there are', async () => {
  const buckets = Array.from({ length: 200_000 }, (_, index) => ({ name: `bucket-${index}`, createdAt: new Date(0) }));
  const transport = { listBuckets: async () => ({ buckets }) };
  const store = { settings: { isAws: false }, transport } as unknown as Store;
  expect(await listBuckets(store, noContext)).toHaveLength(buckets.length);
});
