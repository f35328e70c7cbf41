import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext } from '@coffer/storage-core';
import type { ObjectInfo, StorageService } from '@coffer/storage-core';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { Session } from '../services/open-session.ts';
import { LargeDownload } from './large-download.ts';

const piece = 16 * 2 ** 20;
const pieces = 24;
const info = { key: 'k', size: piece * (pieces - 1) + 5, etag: 'e', lastModified: new Date(0) } as ObjectInfo;

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'coffer-large-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** @returns how many pieces were fetched at once, at most */
async function mostAtOnce(wait: () => Promise<void>, downloads = 1): Promise<number> {
  let now = 0;
  let most = 0;
  const pullFile: StorageService['pullFile'] = async (_at, { range }, sink) => {
    most = Math.max(most, ++now);
    await wait();
    const { start, end } = range as { readonly start: number; readonly end: number };
    // Of each piece, its first and last byte stand for the rest, which stays a hole.
    const bytes = Buffer.alloc(end - start + 1);
    bytes[0] = bytes[bytes.length - 1] = start / piece + 1;
    await sink(bytes);
    now--;
    return { info } as Awaited<ReturnType<StorageService['pullFile']>>;
  };
  const session = { storage: { pullFile, getFileInfo: async () => info }, ctx: noContext } as unknown as Session;
  const running = { signal: new AbortController().signal, moved: () => {} };
  await Promise.all(
    Array.from({ length: downloads }, async (_, index) => {
      const target = join(folder, `file-${index}`);
      await new LargeDownload({ session, at: { bucket: 'b', key: 'k' }, target, resume: false }).run(running as never);
      const got = await readFile(target);
      expect(got.length).toBe(info.size);
      for (let at = 0; at < pieces; at++) expect(got[at * piece]).toBe(at + 1);
    }),
  );
  return most;
}

it('takes more pieces at once from a server that keeps it waiting', async () => {
  expect(await mostAtOnce(() => delay(300))).toBeGreaterThan(3);
});

it('takes no more where it is busy itself', async () => {
  const busy = async (): Promise<void> => {
    for (const end = performance.now() + 60; performance.now() < end;);
    await delay(1);
  };
  expect(await mostAtOnce(busy)).toBe(3);
});

it('takes no more for each of several objects', async () => {
  expect(await mostAtOnce(() => delay(300), 2)).toBe(6);
});
