import { memoryBackend, noContext, storageError, StorageService } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import { contentsOf } from './delete-bucket.ts';
import type { Session } from './open-session.ts';

it.each<[string, () => Promise<boolean>, boolean | string]>([
  ['keeps versions', async () => true, true],
  ['keeps none', async () => false, false],
  ['does not tell everybody', () => Promise.reject(storageError('access_denied', 'No.')), false],
  ['does not answer', () => Promise.reject(storageError('storage_unavailable', 'Later.')), 'Later.'],
])('asks of a bucket that %s what it holds, and nothing else', async (_what, getVersioning, keepsVersions) => {
  const memory = memoryBackend();
  await memory.buckets?.create('bucket', {}, noContext);
  await memory.put({ bucket: 'bucket', key: 'a' }, { kind: 'buffer', data: Buffer.from('abc') }, { contentType: 'text/plain' }, noContext);
  const operations: string[] = [];
  const storage = new StorageService({
    backend: Object.assign(memory, { versioning: { getVersioning, setVersioning: async () => {} } }),
    observer: { operation: ({ operation }) => operations.push(operation) },
  });
  const session = { storage, ctx: noContext } as unknown as Session;
  const contents = contentsOf(session, 'bucket');
  if (typeof keepsVersions === 'string') await expect(contents).rejects.toThrow(keepsVersions);
  else expect(await contents).toEqual({ count: 1, bytes: 3, keepsVersions });
  expect(operations).toEqual(['list', 'get_versioning']);
});
