import { expect, it } from 'vitest';

import { storageError } from '../errors.ts';
import { memoryBackend } from '../memory-backend.ts';
import { assertRejects, assertRejectsAsIs } from './harness.ts';
import { describeBackend } from './index.ts';
import type { BackendOptions } from './index.ts';

const abilities = { buckets: true, acl: true, presign: false, batchDelete: true, versioning: false, lifecycle: false, maintenance: false };

it('stops the backend in the last test, or in `after` where the runner has one', async () => {
  const ended: string[] = [];
  const run = async (after?: (stop: () => Promise<void>) => void): Promise<string[]> => {
    const names: string[] = [];
    const runs: (() => Promise<void>)[] = [];
    const it = (name: string, test: () => Promise<void>): void => void (names.push(name), runs.push(test));
    const start: BackendOptions['start'] = async () => ({
      backend: memoryBackend({ buckets: ['suite'] }),
      bucket: 'suite',
      stop: async () => void ended.push('stopped'),
    });
    describeBackend({ describe: (_name, define) => define(), it, ...(after && { after }) }, 'x', { abilities, start });
    await runs[0]?.();
    if (after === undefined) await runs.at(-1)?.();
    return names;
  };
  expect((await run()).at(-1)).toBe('stops');
  expect(ended).toEqual(['stopped']);
  let stop = async (): Promise<void> => {};
  expect(await run((given) => void (stop = given))).not.toContain('stops');
  await stop();
  expect(ended).toEqual(['stopped', 'stopped']);
});

it('says of a call that did not fail, or failed otherwise, what it was to fail with, and which of several it was', async () => {
  const done = Promise.resolve();
  await expect(assertRejects(done, 'file_not_found')).rejects.toThrow(/expected the StorageError file_not_found$/);
  await expect(assertRejects(done, 'precondition_failed', 'If-Match')).rejects.toThrow(
    /If-Match: expected the StorageError precondition_failed$/,
  );
  const other = assertRejects(Promise.reject(storageError('invalid_key', 'No such keys here.')), 'file_not_found');
  await expect(other).rejects.toThrow(/expected the StorageError file_not_found, got invalid_key: No such keys here\./);
  await expect(assertRejectsAsIs(done, new Error('cancelled'))).rejects.toThrow(/expected the caller's own Error: cancelled$/);
});
