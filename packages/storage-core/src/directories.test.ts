import type * as files from 'node:fs';
import type * as promises from 'node:fs/promises';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { makeDirectories, syncDirectory } from './directories.ts';

const { synced, failure } = vi.hoisted(() => ({ synced: [] as number[], failure: { code: '' } }));
vi.mock('node:fs', async (original) => {
  const real = await original<typeof files>();
  const fsync: (...call: Parameters<typeof real.fsync>) => void = (fd, done) => {
    synced.push(real.fstatSync(fd).ino);
    real.fsync(fd, done);
  };
  return { ...real, fsync };
});

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const open: typeof real.open = async (...call) => {
    if (failure.code !== '') throw Object.assign(new Error(failure.code), { code: failure.code });
    return real.open(...call);
  };
  return { ...real, open };
});

let root: string;
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'coffer-directories-'))));
afterEach(async () => {
  synced.length = 0;
  failure.code = '';
  await rm(root, { recursive: true });
});

describe('directories', () => {
  it('are made with those above them, by several at once', async () => {
    const path = join(root, 'a', 'b');
    await Promise.all([makeDirectories(path, 0o700), makeDirectories(path, 0o700)]);
    for (const made of [join(root, 'a'), path]) expect((await stat(made)).mode & 0o777).toBe(0o700);
    await syncDirectory(path);
  });

  it.skipIf(platform() === 'win32')('that are new survive a power loss', async () => {
    await makeDirectories(join(root, 'a', 'b'), 0o700);
    const parents = await Promise.all([root, join(root, 'a')].map((path) => stat(path)));
    expect(synced).toEqual(parents.map(({ ino }) => ino));
  });

  it.skipIf(platform() === 'win32')('are made also where entries may be added but not seen', async () => {
    failure.code = 'EACCES';
    await makeDirectories(join(root, 'a', 'b'), 0o700);
    failure.code = 'EIO';
    await expect(makeDirectories(join(root, 'c'), 0o700)).rejects.toMatchObject({ code: 'EIO' });
  });

  it('are not made in place of a file', async () => {
    const path = join(root, 'file');
    await writeFile(path, '');
    await expect(makeDirectories(path, 0o700)).rejects.toMatchObject({ code: 'EEXIST' });
  });

  // Node's own recursion never ends there.
  it.runIf(platform() === 'linux')('are not made below one that takes no entries', async () => {
    await expect(makeDirectories('/proc/none/below', 0o700)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
