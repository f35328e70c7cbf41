import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { hasDatabase } from './has-database.ts';

let dataDir = '';
beforeEach(async () => (dataDir = await mkdtemp(join(tmpdir(), 'coffer-has-database-'))));
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const found = (): Promise<boolean> => hasDatabase({ dataDir, database: {} });

it('finds none where the directory or the database is missing', async () => {
  expect(await found()).toBe(false);
  await mkdir(join(dataDir, 'postgres/data'), { recursive: true });
  expect(await found()).toBe(false);
  await rm(join(dataDir, 'postgres'), { recursive: true });
  await writeFile(join(dataDir, 'postgres'), '');
  expect(await found()).toBe(false);
});

it('takes none that it cannot look at, such as that of another user, for missing', async () => {
  await mkdir(join(dataDir, 'postgres/data'), { recursive: true });
  await symlink('PG_VERSION', join(dataDir, 'postgres/data/PG_VERSION')); // root may look at everything else
  expect(await found()).toBe(true);
});
