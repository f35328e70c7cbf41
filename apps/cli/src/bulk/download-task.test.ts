import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { noContext, resolveRange } from '@coffer/storage-core';
import type { GetOptions, ObjectInfo, StorageService } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import type { Session } from '../services/open-session.ts';
import { downloadTask } from './download-task.ts';
import { Folders } from './folders.ts';
import { NameClaims } from './name-claims.ts';
import { EtagTrust } from './verification.ts';

const mib = 2 ** 20;

it.each([3, 40])('an object that has grown to %i MiB since it was listed is not read into memory', async (mebibytes) => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-download-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const content = Buffer.alloc(mebibytes * mib, 'x');
  const info = { key: 'k', bucket: 'b', size: content.length, etag: 'e', lastModified: new Date(0) } as ObjectInfo;
  const read = (options?: Pick<GetOptions, 'range'>): Buffer[] => {
    const range = options?.range;
    const { start, end } = range === undefined ? { start: 0, end: info.size - 1 } : resolveRange(range, info.size);
    const pieces = Array.from({ length: Math.ceil((end + 1 - start) / mib) }, (_, piece) => start + piece * mib);
    return pieces.map((at) => content.subarray(at, Math.min(at + mib, end + 1)));
  };
  let atOnce = 0;
  const storage: Partial<StorageService> = {
    async pullFile(_at, options, sink) {
      for (const chunk of read(options)) {
        if (options.range === undefined) atOnce += chunk.length;
        await sink(chunk);
      }
      return { info };
    },
    openFile: async (_at, options) => ({ kind: 'object', info, body: Readable.from(read(options)) }),
  };
  let moved = 0;
  const folders = new Folders(folder);
  const task = downloadTask(
    { key: 'k', name: 'k', listed: { size: 5, etag: 'd' } },
    {
      session: { storage, ctx: noContext } as unknown as Session,
      etagTrust: new EtagTrust(() => {}),
      bucket: 'b',
      folders,
      nameClaims: new NameClaims(folders),
      update: false,
      resume: false,
      isNamed: false,
    },
  );
  const { signal } = new AbortController();
  const running = { signal, sized: () => {}, moved: (bytes: number) => void (moved += bytes), advanced: () => {}, isAlone: () => true };
  expect(await task.run(running)).toMatchObject({ done: [{ size: content.length, etag: 'e' }] });
  expect((await readFile(join(folder, 'k'))).equals(content)).toBe(true);
  expect(moved).toBe(content.length);
  expect(atOnce).toBeLessThanOrEqual(2 * mib);
});
