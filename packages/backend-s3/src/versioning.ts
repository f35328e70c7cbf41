import type { VersioningOperations } from '@coffer/storage-core';

import { assertBucketThere } from './store.ts';
import type { Store } from './store.ts';

export function versioningOperations(store: Store): VersioningOperations {
  const { administration } = store;
  return {
    getVersioning: (bucket, ctx) => administration.getVersioning(bucket, ctx),
    async setVersioning(bucket, enabled, ctx) {
      await assertBucketThere(store, bucket, ctx);
      await administration.setVersioning(bucket, enabled, ctx);
    },
  };
}
