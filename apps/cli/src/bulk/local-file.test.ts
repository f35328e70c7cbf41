import { existsSync } from 'node:fs';
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

const generated = '/sys/kernel/uevent_seqnum';
it.runIf(existsSync(generated))('a file of the system that is shorter than its size says has not changed, and is not read', async () => {
  const file = await LocalFile.open(generated);
  onTestFinished(() => file.close());
  await expect(file.readAll()).rejects.toMatchObject({ code: 'not_a_file', message: expect.stringContaining('pipe') });
});
