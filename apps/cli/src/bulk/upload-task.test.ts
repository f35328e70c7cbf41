import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { memoryBackend, noContext, StorageService } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import type { Session } from '../services/open-session.ts';
import { uploadTask } from './upload-task.ts';

async function isOpen(path: string): Promise<boolean> {
  const descriptors = await readdir('/proc/self/fd');
  const opened = await Promise.all(descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => '')));
  return opened.includes(path);
}

it.runIf(process.platform === 'linux')('a file is closed once it is uploaded, skipped, shown or refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-upload-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'file');
  await writeFile(path, 'content');
  const backend = memoryBackend();
  await backend.buckets?.create('bucket', {}, noContext);
  const { signal } = new AbortController();
  const session = { storage: new StorageService({ backend }), ctx: { signal }, shortCtx: { signal } } as unknown as Session;
  const running = { sized: () => {}, moved: () => {} } as never;
  const task = uploadTask({ path, key: 'key' }, { session, bucket: 'bucket', update: true });
  const nowhere = uploadTask({ path, key: 'key' }, { session, bucket: 'no-such-bucket', update: false });
  for (const work of [
    async () => expect(await task.preview()).toHaveLength(1),
    async () => expect((await task.run(running)).done).toHaveLength(1),
    async () => expect(await task.run(running)).toMatchObject({ done: [], skipped: 1 }),
    async () => expect(await task.preview()).toEqual([]),
    async () => expect(nowhere.run(running)).rejects.toMatchObject({ code: 'no_such_bucket' }),
  ]) {
    await work();
    expect(await isOpen(path)).toBe(false);
  }
});
