import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, storageError } from '@coffer/storage-core';
import type { ObjectInfo, StorageService } from '@coffer/storage-core';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { Session } from '../services/open-session.ts';
import { LargeDownload } from './large-download.ts';
import { runTasks } from './run-tasks.ts';
import type { Failure, Task } from './task.ts';

const piece = 16 * 2 ** 20;
const pieces = 24;
const zeros = Buffer.alloc(piece);
const info = { key: 'k', size: piece * (pieces - 1) + 5, etag: 'e', lastModified: new Date(0) } as ObjectInfo;

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'coffer-large-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** @returns the most pieces that were fetched at the same time */
async function mostAtOnce(wait: () => Promise<void>, isAlone = true): Promise<number> {
  let now = 0;
  let most = 0;
  const pullFile: StorageService['pullFile'] = async (_at, { range }, sink) => {
    most = Math.max(most, ++now);
    await wait();
    const { start, end } = range as { readonly start: number; readonly end: number };
    // Pieces share their zeros, since a process that is making 16 MiB each time is busy, where the machine has other work too.
    const mark = Buffer.of(start / piece + 1);
    await sink(mark);
    if (end - start > 1) await sink(zeros.subarray(0, end - start - 1));
    await sink(mark);
    now--;
    return { info } as Awaited<ReturnType<StorageService['pullFile']>>;
  };
  const session = { storage: { pullFile, getFileInfo: async () => info }, ctx: noContext } as unknown as Session;
  const running = { signal: new AbortController().signal, moved: () => {}, advanced: () => {}, isAlone: () => isAlone };
  const target = join(folder, 'file');
  await new LargeDownload({ session, at: { bucket: 'b', key: 'k' }, target, resume: false }).run(running as never);
  const got = await readFile(target);
  expect(got.length).toBe(info.size);
  for (let at = 0; at < pieces; at++) expect(got[at * piece]).toBe(at + 1);
  return most;
}

it('takes more pieces at once from a server that keeps it waiting', async () => {
  expect(await mostAtOnce(() => delay(300))).toBeGreaterThan(3);
});

it('takes no more when its own process is busy', async () => {
  const busy = async (): Promise<void> => {
    for (const end = performance.now() + 60; performance.now() < end;);
    await delay(1);
  };
  expect(await mostAtOnce(busy)).toBe(3);
});

it('takes no more while other tasks run', async () => {
  expect(await mostAtOnce(() => delay(300), false)).toBe(3);
});

it('is retried as long as it makes progress, and as often as requests are when it does not', async () => {
  let cuts = 10;
  let etag = 'e';
  const pullFile: StorageService['pullFile'] = async (_at, { range }, sink) => {
    const { start, end } = range as { readonly start: number; readonly end: number };
    if (cuts > 0 && start % (2 * piece) !== 0) {
      cuts--;
      throw storageError('storage_unavailable', 'Cut.');
    }
    await delay(5); // long enough for the other requests to be cut first
    await sink(Buffer.alloc(end - start + 1, start / piece + 1));
    return { info: { ...info, etag: start === 0 ? info.etag : etag } } as Awaited<ReturnType<StorageService['pullFile']>>;
  };
  const session = { storage: { pullFile, getFileInfo: async () => info }, ctx: noContext } as unknown as Session;
  const run = async (name: string): Promise<readonly string[]> => {
    const failures: string[] = [];
    const large = new LargeDownload({ session, at: { bucket: 'b', key: 'k' }, target: join(folder, name), resume: false });
    const task: Task<number> = {
      subject: { key: 'k' },
      preview: () => [],
      run: async (running) => ({ done: [(await large.run(running)).size] }),
      abandon: () => large.abandon(),
    };
    const ignored = { planned() {}, allPlanned() {}, sized() {}, moved() {}, finished() {} };
    const follower = { ...ignored, failed: ({ problem }: Failure) => void failures.push(problem.code) };
    const plan = (async function* () {
      yield task;
    })();
    await runTasks(plan, { concurrency: 1, retries: 3, signal: new AbortController().signal, follower });
    return failures;
  };

  expect(await run('file')).toEqual([]);
  const got = await readFile(join(folder, 'file'));
  for (let at = 0; at < pieces; at++) expect(got[at * piece]).toBe(at + 1);

  cuts = 1000; // the even pieces arrive, and nothing after them
  expect(await run('other')).toEqual(['storage_unavailable']);
  cuts = 0;
  etag = 'another'; // not the ETag that `getFileInfo` keeps returning, nor that of the first piece
  expect(await run('changing')).toEqual(['object_changed']);
  expect(await readdir(folder)).toEqual(['file']);
});

it.each([false, true])('completes although every connection is cut before a whole piece; with resume: %s', async (resume) => {
  const size = 2 * piece + 5;
  const object = Buffer.alloc(size, 'What comes again is the same. ');
  let lasts = 5_000_000;
  const requestedBytes: number[] = [];
  const pullFile: StorageService['pullFile'] = async (_at, { range }, sink) => {
    const { start, end } = range as { readonly start: number; readonly end: number };
    requestedBytes.push(end + 1 - start);
    const bytes = object.subarray(start, end + 1);
    await sink(bytes.subarray(0, lasts));
    if (bytes.length > lasts) throw storageError('storage_unavailable', 'Cut.');
    return { info: { ...info, size } } as Awaited<ReturnType<StorageService['pullFile']>>;
  };
  const session = { storage: { pullFile, getFileInfo: async () => ({ ...info, size }) }, ctx: noContext } as unknown as Session;
  let moved = 0;
  let failed = 0;
  const advanced = (): void => void (failed = 0);
  const running = { signal: new AbortController().signal, moved: (bytes: number) => (moved += bytes), advanced, isAlone: () => false };
  const target = join(folder, 'file');
  const large = new LargeDownload({ session, at: { bucket: 'b', key: 'k' }, target, resume });
  const run = async (): Promise<void> => {
    for (failed = 0; failed < 4; failed++) {
      moved = 0;
      if (await large.run(running as never).then(Boolean, () => false)) return;
    }
    throw new Error('It got no further.');
  };
  await run();
  expect(moved).toBe(size);
  expect((await readFile(target)).equals(object)).toBe(true);
  expect(requestedBytes.reduce((sum, bytes) => sum + bytes)).toBeLessThan(8 * size);

  lasts = 1000;
  await rm(target);
  const slow = new LargeDownload({ session, at: { bucket: 'b', key: 'k' }, target, resume });
  for (failed = 0; failed < 4; failed++) await expect(slow.run(running as never)).rejects.toMatchObject({ code: 'storage_unavailable' });
  await slow.abandon();
});

it('starts again when the object has become smaller than the position reached', async () => {
  let small: ObjectInfo | undefined;
  const pullFile: StorageService['pullFile'] = async (_at, { range }, sink) => {
    const { start, end } = range as { readonly start: number; readonly end: number };
    const now = small ?? info;
    if (start >= now.size) throw storageError('range_not_satisfiable', 'Outside.');
    await sink(Buffer.alloc(Math.min(end + 1, now.size) - start, 'x'));
    if (small === undefined && start >= 2 * piece) small = { ...info, size: 5, etag: 'small' };
    return { info: now } as Awaited<ReturnType<StorageService['pullFile']>>;
  };
  const session = { storage: { pullFile, getFileInfo: async () => small ?? info }, ctx: noContext } as unknown as Session;
  const running = { signal: new AbortController().signal, moved: () => {}, advanced: () => {}, isAlone: () => false };
  const target = join(folder, 'file');
  const large = new LargeDownload({ session, at: { bucket: 'b', key: 'k' }, target, resume: false });
  await expect(large.run(running as never)).rejects.toMatchObject({ code: 'object_changed', retryable: true });
  await large.run(running as never);
  expect(await readFile(target, 'utf8')).toBe('xxxxx');
});

it('keeps the pieces that are still intact, and fetches the others', async () => {
  const fetched: number[] = [];
  let fails = true;
  const pullFile: StorageService['pullFile'] = async (_at, { range }, sink) => {
    const { start, end } = range as { readonly start: number; readonly end: number };
    if (fails && fetched.length === 4) throw new Error('gone');
    fetched.push(start / piece);
    await sink(Buffer.alloc(end - start + 1, start / piece + 1));
    return { info } as Awaited<ReturnType<StorageService['pullFile']>>;
  };
  const session = { storage: { pullFile, getFileInfo: async () => info }, ctx: noContext } as unknown as Session;
  const running = { signal: new AbortController().signal, moved: () => {}, advanced: () => {}, isAlone: () => false };
  const target = join(folder, 'file');
  const download = (): LargeDownload => new LargeDownload({ session, at: { bucket: 'b', key: 'k' }, target, resume: true });

  const first = download();
  await expect(first.run(running as never)).rejects.toThrow('gone');
  await first.abandon();
  const kept = fetched.splice(0);
  expect(kept).toHaveLength(4);

  // A power loss may lose bytes of pieces that the log lists.
  const part = (await readdir(folder)).find((name) => name.endsWith('.part'))!;
  const damaged = await open(join(folder, part), 'r+');
  await damaged.write(Buffer.alloc(1), 0, 1, kept[1]! * piece + 5000);
  await damaged.close();

  fails = false;
  await download().run(running as never);
  expect(fetched).toHaveLength(pieces - 3);
  expect(fetched).toContain(kept[1]);
  const got = await readFile(target);
  for (let at = 0; at < pieces; at++) {
    const bytes = got.subarray(at * piece, (at + 1) * piece);
    expect(bytes.equals(Buffer.alloc(bytes.length, at + 1))).toBe(true);
  }
  expect(await readdir(folder)).toEqual(['file']);
});
