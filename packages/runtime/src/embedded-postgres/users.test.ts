import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

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
    expect(await countUsers(dir, name)).toBe(0); // a disk that has become read-only keeps the entry of a process that leaves
    await removeUser(dir, name);
    expect(await countUsers(dir)).toBe(0);
  });

  it('are not overlooked for want of a file descriptor', async () => {
    await addUser(dir);
    const script = `
      import { openSync } from 'node:fs';
      import { countUsers } from ${JSON.stringify(new URL('./users.ts', import.meta.url).href)};
      try { for (;;) openSync('/dev/null'); } catch {}
      console.log(await countUsers(process.argv[1]).catch((error) => error.code));`;
    const limited = ['-c', 'ulimit -n 64 && exec "$0" --conditions=@coffer/source --input-type=module --eval "$1" "$2"'];
    const { stdout } = await promisify(execFile)('sh', [...limited, process.execPath, script, dir]);
    expect(stdout).toBe('EMFILE\n');
  });

  it('of another container or machine are neither counted nor cleared away: their pids mean nothing here', async () => {
    const name = await addUser(dir);
    const elsewhere = [name.replace(/^[^-]+/, 'elsewhere'), 'elsewhere-4194305-1-x'];
    for (const entry of elsewhere) await writeFile(join(dir, entry), '');
    expect(await countUsers(dir)).toBe(1);
    expect((await readdir(dir)).toSorted()).toEqual([name, ...elsewhere].toSorted());
  });
});
