import { memoryBackend, noContext, storageError, StorageService } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import type { Session } from './open-session.ts';
import { tryBucket, tryNewBucket } from './try-bucket.ts';

const other = { kind: 'buffer', data: Buffer.from('other bytes') } as const;

it.each<[string, (put: StorageBackend['put'], controller: AbortController) => StorageBackend['put'], RegExp]>([
  ['other bytes come back', (put) => (at, _body, options, ctx) => put(at, other, options, ctx), /differ from those/],
  [
    'it is stopped',
    (put, controller) => async (at, body, options, ctx) => {
      const info = await put(at, body, options, ctx);
      controller.abort(new Error('Stopped.'));
      return info;
    },
    /Stopped/,
  ],
])('a trial leaves no object and no bucket when %s', async (_when, putOf, message) => {
  const memory = memoryBackend();
  const deleted: string[] = [];
  const remove = memory.delete.bind(memory);
  const controller = new AbortController();
  const backend = Object.assign(memory, {
    put: putOf(memory.put.bind(memory), controller),
    delete: async (...args: Parameters<StorageBackend['delete']>) => {
      await remove(...args);
      deleted.push(args[0].key);
    },
  });
  const storage = new StorageService({ backend });
  await expect(tryNewBucket({ storage, ctx: { signal: controller.signal } } as Session)).rejects.toThrow(message);
  expect(deleted).toEqual([expect.stringMatching(/^\.coffer-check\//)]);
  expect(await backend.buckets?.list(noContext)).toEqual([]);
});

it('a trial with credentials that may only read fails with the refusal of the write', async () => {
  const refused = (what: string) => async (): Promise<never> => {
    throw storageError('access_denied', `No ${what}.`);
  };
  const backend = Object.assign(memoryBackend(), { put: refused('write'), delete: refused('delete') });
  await backend.buckets?.create('bucket', {}, noContext);
  const session = { storage: new StorageService({ backend }), ctx: noContext } as Session;
  await expect(tryBucket(session, 'bucket')).rejects.toThrow('No write.');
});
