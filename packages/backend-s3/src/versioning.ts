import type { VersioningOperations } from '@coffer/storage-core';

import type { Store } from './store.ts';

export function versioningOperations({ administration }: Store): VersioningOperations {
  return {
    getVersioning: (bucket, ctx) => administration.getVersioning(bucket, ctx),
    setVersioning: (bucket, enabled, ctx) => administration.setVersioning(bucket, enabled, ctx),
  };
}
