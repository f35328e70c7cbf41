import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { LocalFile } from './local-file.ts';

it('a small file is not read if it has changed since it was opened', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-local-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'file');
  await writeFile(path, 'before');
  const file = await LocalFile.open(path);
  await writeFile(path, 'afterwards');
  await expect(file.readAll()).rejects.toMatchObject({ code: 'file_changed' });
  await file.close();
});
