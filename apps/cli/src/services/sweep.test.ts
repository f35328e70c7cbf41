import type { Runtime } from '@coffer/runtime';
import { memoryBackend, noContext, StorageService } from '@coffer/storage-core';
import type { SweepOptions } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import type { Session } from './open-session.ts';
import { sweep } from './sweep.ts';

it.each([
  ['without a database, the default and the shared bucket', undefined, ['default', 'shared']],
  ['with one, the buckets that it knows', { tenants: { ours: async () => ['acme'] }, files: { sweep: async () => undefined } }, ['acme']],
])('looks only into its own buckets: %s', async (_which, runtime, expected) => {
  const asked: SweepOptions[] = [];
  const maintenance = {
    sweep: async (options: SweepOptions) => {
      asked.push(options);
      return { removed: 0, bytes: 0 };
    },
  };
  const storage = new StorageService({ backend: Object.assign(memoryBackend(), { maintenance }) });
  const config = { storage: { enabled: true, bucket: 'default', sharedBucket: 'shared' } };
  await sweep({ storage, config, ctx: noContext, runtime: runtime as unknown as Runtime } as Session, { olderThan: 7, dryRun: true });
  expect(asked).toMatchObject([{ olderThan: 7, dryRun: true }]);
  expect(await asked[0]?.among?.(['acme', 'default', 'others', 'shared'])).toEqual(expected);
});
