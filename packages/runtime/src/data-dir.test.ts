import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { ensureDataDir } from './data-dir.ts';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'coffer-data-dir-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

it('makes the directory and those above it, once', async () => {
  const path = join(folder, 'a/b/c');
  await Promise.all([ensureDataDir(path), ensureDataDir(path)]);
  expect((await stat(path)).mode & 0o077 & ~0o011).toBe(0);
});

it.runIf(existsSync('/proc/self'))('says where none can be made', async () => {
  await writeFile(join(folder, 'file'), '');
  for (const path of [join(folder, 'file'), join(folder, 'file/below'), '/proc/coffer', '/proc/coffer/below']) {
    await expect(ensureDataDir(path)).rejects.toThrow(`The data directory ${path} cannot be created`);
  }
});
