import { describeBackend } from '@coffer/storage-core/testing';
import { afterAll, describe, it } from 'vitest';

import { leftoversIn, scratch, serve } from './testing/storage.ts';

describeBackend({ describe, it, after: afterAll }, 'local', {
  abilities: { buckets: true, acl: true, presign: true, batchDelete: true, versioning: false, lifecycle: false, maintenance: true },
  async start() {
    const { path, remove } = await scratch();
    const { backend, stop } = await serve(path);
    return {
      backend,
      bucket: 'bucket',
      leftovers: () => leftoversIn(path, backend),
      async stop() {
        await stop();
        await remove();
      },
    };
  },
});
