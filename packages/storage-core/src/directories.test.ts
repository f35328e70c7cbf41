import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { makeDirectories, syncDirectory } from './directories.ts';

let root: string;
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'coffer-directories-'))));
afterEach(() => rm(root, { recursive: true }));

describe('directories', () => {
  it('are made with those above them, by several at once', async () => {
    const path = join(root, 'a', 'b');
    await Promise.all([makeDirectories(path, 0o700), makeDirectories(path, 0o700)]);
    for (const made of [join(root, 'a'), path]) expect((await stat(made)).mode & 0o777).toBe(0o700);
    await syncDirectory(path);
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
