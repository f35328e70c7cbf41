import { describe, it } from 'vitest';

import { memoryBackend } from './memory-backend.ts';
import { describeBackend } from './testing/index.ts';

const abilities = {
  buckets: true,
  acl: true,
  presign: false,
  batchDelete: true,
  versioning: false,
  lifecycle: false,
  maintenance: false,
  pull: true,
  deleteIfMatch: true,
};

describeBackend({ describe, it }, 'memory', {
  abilities,
  start: async () => ({ backend: memoryBackend({ buckets: ['suite'] }), bucket: 'suite', stop: async () => {} }),
});
