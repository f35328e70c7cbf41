import { describeBackend } from '@coffer/storage-core/testing';
import { afterAll, describe, it } from 'vitest';

import { leftoversIn, serve } from './testing/storage.ts';

describeBackend({ describe, it, after: afterAll }, 'local', {
  abilities: {
    buckets: true,
    acl: true,
    presign: true,
    batchDelete: true,
    versioning: false,
    lifecycle: false,
    maintenance: true,
    deleteIfMatch: true,
  },
  async start() {
    const { backend, root, stop } = await serve();
    return { backend, bucket: 'bucket', leftovers: () => leftoversIn(root, backend), stop };
  },
});
