import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { SpoolFile } from './spool-file.ts';

it('makes the directories that are missing', async () => {
  const root = await mkdtemp(join(tmpdir(), 'coffer-spool-'));
  const directory = join(root, 'a', 'b');
  const files = await Promise.all([SpoolFile.open(directory), SpoolFile.open(directory)]);
  expect(await readdir(directory)).toEqual([]);
  for (const file of files) await file.close();
  await rm(root, { recursive: true });
});

// Where Node's own recursion never ends.
it.runIf(platform() === 'linux')('fails where a directory takes no other', async () => {
  await expect(SpoolFile.open('/proc/none/spool')).rejects.toMatchObject({ code: 'ENOENT' });
});
