import { storageError } from '@coffer/storage-core';
import type { BucketResolver, StorageBackend } from '@coffer/storage-core';

const refuse = (): never => {
  throw storageError('storage_not_configured', 'Storage is switched off (STORAGE_ENABLED=false).');
};
const reject = async (): Promise<never> => refuse();

/** The backend with STORAGE_ENABLED=false: it has every ability, and refuses every call. */
export function disabledBackend(): StorageBackend {
  return {
    name: 'none',
    check: async () => {}, // nothing can be down
    close: async () => {},
    put: async (_at, body) => {
      if (body.kind === 'stream') body.stream.destroy();
      return refuse();
    },
    get: reject,
    head: reject,
    delete: reject,
    copy: reject,
    list: reject,
    batchDelete: { deleteMany: reject },
    buckets: { create: reject, head: reject, list: reject, delete: reject },
    acl: { getObjectAcl: reject, setObjectAcl: reject, getBucketAcl: reject, setBucketAcl: reject },
    presign: { upload: reject, download: reject },
    versioning: { getVersioning: reject, setVersioning: reject },
    lifecycle: { getLifecycle: reject, setLifecycle: reject, deleteLifecycle: reject },
    maintenance: { sweep: reject },
  };
}

export const disabledResolver: BucketResolver = refuse;
