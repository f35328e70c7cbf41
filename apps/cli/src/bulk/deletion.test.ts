import { memoryBackend, noContext, storageError, StorageService } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import type { Session } from '../services/open-session.ts';
import { planDeletions } from './deletion.ts';
import type { Deleted } from './deletion.ts';
import type { Outcome } from './task.ts';

const denied = storageError('access_denied', 'No.');
const objects = ['a', 'b', 'c'].map((key) => ({ key, size: 1 }));

/** Deletes three objects together. */
async function outcomeWith(changes: Partial<StorageBackend>, signal = new AbortController().signal): Promise<Outcome<Deleted>> {
  const backend = Object.assign(memoryBackend(), changes);
  await backend.buckets?.create('bucket', {}, noContext);
  const session = { storage: new StorageService({ backend }), shortCtx: { signal } } as unknown as Session;
  const found = (async function* () {
    yield objects;
  })();
  for await (const task of planDeletions(session, 'bucket', found)) return task.run({ moved: () => {} } as never);
  throw new Error('Nothing was planned.');
}

const keysOf = ({ done, failed = [] }: Outcome<Deleted>): unknown => [
  done.map(({ key }) => key),
  failed.map(({ subject, problem }) => ({ ...subject, code: problem.code })),
];

describe.each<[string, (refused: readonly string[], before?: () => void) => Partial<StorageBackend>]>([
  [
    'together',
    (refused, before) => ({
      batchDelete: {
        deleteMany: async (_bucket, keys) => {
          before?.();
          if (refused.length === keys.length) throw denied;
          const errors = refused.map((key) => ({ key, code: 'access_denied' as const, message: 'No.' }));
          return { deleted: keys.filter((key) => !refused.includes(key)), errors };
        },
      },
    }),
  ],
  [
    'one by one',
    (refused, before) => ({
      batchDelete: undefined as never,
      delete: async ({ key }) => {
        before?.();
        if (refused.includes(key)) throw denied;
      },
    }),
  ],
])('objects that are deleted %s', (_how, backend) => {
  it('are reported each for itself', async () => {
    expect(keysOf(await outcomeWith(backend([])))).toEqual([['a', 'b', 'c'], []]);
    expect(keysOf(await outcomeWith(backend(['b'])))).toEqual([['a', 'c'], [{ key: 'b', code: 'access_denied' }]]);
    expect(keysOf(await outcomeWith(backend(['a', 'b', 'c'])))).toEqual([
      [],
      ['a', 'b', 'c'].map((key) => ({ key, code: 'access_denied' })),
    ]);
  });

  it('have not failed when the process is asked to end', async () => {
    const controller = new AbortController();
    const changes = backend(['a', 'b', 'c'], () => controller.abort());
    await expect(outcomeWith(changes, controller.signal)).rejects.toThrow();
  });
});
