import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { addUser, countUsers, removeUser } from './users.ts';

describe('users', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coffer-users-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('are counted while they live, and cleared away when they are dead', async () => {
    const name = await addUser(dir);
    await writeFile(join(dir, name.replace(`-${process.pid}-`, '-4194305-')), '');
    await writeFile(join(dir, name.replace(/-\w+-(\w+)$/, '-1-$1')), ''); // its pid is now that of another process
    expect(await countUsers(dir)).toBe(1);
    expect(await readdir(dir)).toEqual([name]);
    await removeUser(dir, name);
    expect(await countUsers(dir)).toBe(0);
  });

  it('of another container or machine are neither counted nor cleared away: their pids mean nothing here', async () => {
    const name = await addUser(dir);
    const elsewhere = [name.replace(/^[^-]+/, 'elsewhere'), 'elsewhere-4194305-1-x'];
    for (const entry of elsewhere) await writeFile(join(dir, entry), '');
    expect(await countUsers(dir)).toBe(1);
    expect((await readdir(dir)).toSorted()).toEqual([name, ...elsewhere].toSorted());
  });
});
