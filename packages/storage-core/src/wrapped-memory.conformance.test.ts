import { afterAll, describe, expect, it } from 'vitest';

import { observe } from './layers/observe.ts';
import { retry } from './layers/retry.ts';
import { wrapBackend } from './layers/wrap-backend.ts';
import { memoryBackend } from './memory-backend.ts';
import type { OperationEvent } from './observer.ts';
import { describeBackend } from './testing/index.ts';

const events: OperationEvent[] = [];
let passed = 0;

describeBackend({ describe, it, after: afterAll }, 'memory under observe and retry', {
  abilities: {
    buckets: true,
    acl: true,
    presign: false,
    batchDelete: true,
    versioning: false,
    lifecycle: false,
    maintenance: false,
    pull: true,
    deleteIfMatch: true,
  },
  start: async () => ({
    backend: wrapBackend(
      memoryBackend({ buckets: ['suite'] }),
      observe({ operation: (event) => void events.push(event), transfer: ({ bytes }) => void (passed += bytes) }),
      retry({ retries: 3 }),
    ),
    bucket: 'suite',
    stop: async () => {},
  }),
});

describe('the observer of the whole suite', () => {
  it('has seen every byte twice, and no failure that it could not name', () => {
    expect(passed).toBe(events.reduce((sum, event) => sum + event.bytes, 0));
    expect(passed).toBeGreaterThan(50_000_000);
    expect(events.filter((event) => event.code === 'internal_error')).toEqual([]);
    expect(events.every((event) => event.backend === 'memory' && event.ms >= 0)).toBe(true);
  });
});
