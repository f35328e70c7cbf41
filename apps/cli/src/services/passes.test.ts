import { memoryBackend, noContext, storageError, StorageService } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import type { CountingFollower, Failure } from '../bulk/task.ts';
import { copyFiles } from './copy.ts';
import { deleteFiles } from './delete.ts';
import type { Session } from './open-session.ts';

class Counter implements CountingFollower<{ readonly key: string }> {
  readonly done: string[] = [];
  readonly failures: Failure[] = [];
  get totals(): { readonly count: number; readonly failed: number } {
    return { count: this.done.length, failed: this.failures.length };
  }
  planned(): void {}
  allPlanned(): void {}
  sized(): void {}
  moved(): void {}
  finished(_task: unknown, { done, failed = [] }: Parameters<CountingFollower<{ readonly key: string }>['finished']>[1]): void {
    this.done.push(...done.map(({ key }) => key));
    this.failures.push(...failed);
  }
  failed(failure: Failure): void {
    this.failures.push(failure);
  }
}

const request = { concurrency: 4, dryRun: false, include: [], exclude: [] };

// Such as one under object lock, of which each further pass would leave a copy.
it.each<[string, (session: Session, follower: Counter) => Promise<void>]>([
  [
    'moved',
    (session, follower) => copyFiles(session, { ...request, from: 'n/', to: 'm/', move: true, recursive: true, update: false }, follower),
  ],
  ['deleted', (session, follower) => deleteFiles(session, { ...request, keys: ['n/'], prefix: true }, follower)],
])('an object that cannot be deleted is tried and reported once where others below the prefix are %s', async (_what, run) => {
  const memory = memoryBackend();
  await memory.buckets?.create('bucket', {}, noContext);
  const content = Buffer.from('x');
  for (const name of ['a', 'kept', 'z'])
    await memory.put({ bucket: 'bucket', key: `n/${name}` }, { kind: 'buffer', data: content }, { contentType: 'text/plain' }, noContext);
  let tries = 0;
  const remove = memory.delete.bind(memory);
  const backend = Object.assign(memory, {
    batchDelete: undefined,
    deleteIfMatch: undefined,
    delete: async (...[at, ctx]: Parameters<typeof memory.delete>) => {
      if (at.key !== 'n/kept') return remove(at, ctx);
      tries++;
      throw storageError('access_denied', 'It is locked.');
    },
  });
  const { signal } = new AbortController();
  const ctx = { signal };
  const session = {
    storage: new StorageService({ backend }),
    config: { storage: { maxRetries: 0 } },
    ctx,
    shortCtx: ctx,
    bucket: async () => 'bucket',
    note: () => {},
  } as unknown as Session;
  const follower = new Counter();
  await run(session, follower);
  expect(follower.totals).toEqual({ count: 2, failed: 1 });
  expect(tries).toBe(1);
});
