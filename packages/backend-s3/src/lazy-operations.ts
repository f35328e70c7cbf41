import type { AclOperations, BucketOperations, LifecycleOperations, MaintenanceOperations, StorageBackend } from '@coffer/storage-core';

import { lazily } from './lazily.ts';
import type { Store } from './store.ts';

/** Operations that are rarely used. Each group is loaded when it is first called. */
export function lazyOperations(store: Store): LazyOperations {
  return {
    copy: async (source, destination, options, ctx) => (await import('./copy.ts')).copyObject(store, { source, destination }, options, ctx),
    buckets: lazily<Required<BucketOperations>>(
      { create: true, head: true, find: true, list: true, delete: true, provision: true },
      async () => (await import('./buckets.ts')).bucketOperations(store),
    ),
    acl: lazily<AclOperations>({ getObjectAcl: true, setObjectAcl: true, getBucketAcl: true, setBucketAcl: true }, async () =>
      (await import('./acl.ts')).aclOperations(store),
    ),
    lifecycle: lazily<LifecycleOperations>({ getLifecycle: true, setLifecycle: true, deleteLifecycle: true }, async () =>
      (await import('./lifecycle.ts')).lifecycleOperations(store),
    ),
    maintenance: lazily<MaintenanceOperations>({ sweep: true }, async () =>
      (await import('./maintenance.ts')).maintenanceOperations(store),
    ),
  };
}

type LazyOperations = Required<Pick<StorageBackend, 'copy' | 'buckets' | 'acl' | 'lifecycle' | 'maintenance'>>;
