import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

import { afterEach, expect, it, vi } from 'vitest';

import { SpoolFile } from './spool-file.ts';

afterEach(() => vi.restoreAllMocks());

it('holds everything, even if the system writes and reads it in pieces', async () => {
  const any = await open('/dev/null');
  const handles = Object.getPrototypeOf(any) as FileHandle;
  await any.close();
  for (const name of ['read', 'write'] as const) {
    const whole = handles[name] as (bytes: Uint8Array, offset: number, length: number, position: number) => Promise<unknown>;
    vi.spyOn(handles, name).mockImplementation(function (
      this: FileHandle,
      bytes: Uint8Array,
      offset: number,
      length: number,
      position: number,
    ) {
      return whole.call(this, bytes, offset, Math.min(length, 1000), position);
    } as never);
  }
  const data = randomBytes(5500);
  const file = await SpoolFile.open();
  await file.append(data.subarray(0, 2500));
  await file.append(data.subarray(2500));
  const read = Buffer.alloc(data.length);
  await file.readInto(read);
  expect(read.equals(data)).toBe(true);
  for (let reads = 0; reads < 2; reads++) expect((await buffer(file.stream())).equals(data)).toBe(true);
  await file.close();
});

it.each([
  ['an error of the disk', () => Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }))],
  ['missing bytes', () => Promise.resolve({ bytesRead: 0 })],
])('is unavailable if it cannot be read back because of %s', async (_what, read) => {
  const file = await SpoolFile.open();
  await file.append(randomBytes(10));
  const any = await open('/dev/null');
  const handles = Object.getPrototypeOf(any) as FileHandle;
  await any.close();
  vi.spyOn(handles, 'read').mockImplementation(read as never);
  const unavailable = { code: 'storage_unavailable', cause: expect.any(Error) };
  await expect(file.readInto(Buffer.alloc(10))).rejects.toMatchObject(unavailable);
  await expect(buffer(file.stream())).rejects.toMatchObject(unavailable);
  await file.close();
});

it('makes the directories that are missing', async () => {
  const root = await mkdtemp(join(tmpdir(), 'coffer-spool-'));
  const directory = join(root, 'a', 'b');
  const files = await Promise.all([SpoolFile.open(directory), SpoolFile.open(directory)]);
  expect(await readdir(directory)).toEqual([]);
  for (const file of files) await file.close();
  await rm(root, { recursive: true });
});

// Node's own recursion never ends there.
it.runIf(platform() === 'linux')('fails below a directory that takes no entries', async () => {
  await expect(SpoolFile.open('/proc/none/spool')).rejects.toMatchObject({ code: 'ENOENT' });
});
