import { randomBytes } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { makeDirectories } from '@coffer/storage-core';

import { pidSpace, startOf, throwIfExhausted } from './process-table.ts';

/*
 * The users of a running server: one file each, named `<pid space>-<pid>-<start of the process>-<random>`. The file of a dead process does
 * not count.
 */

/** @returns the entry's name, for `removeUser` */
export async function addUser(dir: string): Promise<string> {
  await makeDirectories(dir, 0o700);
  const name = `${await pidSpace()}-${process.pid}-${(await startOf(process.pid)) ?? ''}-${randomBytes(4).toString('hex')}`;
  await writeFile(join(dir, name), '', { mode: 0o600 });
  return name;
}

export async function removeUser(dir: string, name: string): Promise<void> {
  await rm(join(dir, name), { force: true });
}

/**
 * Counts the users other than `own`, after removing dead ones where that is possible. Those of another pid space cannot be told from the
 * dead: their entries stay but do not count, since a server is only shared within one pid space.
 * @throws when nobody can tell, for want of file descriptors
 */
export async function countUsers(dir: string, own?: string): Promise<number> {
  const prefix = `${await pidSpace()}-`;
  const entries = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    throwIfExhausted(error);
    return [];
  });
  const names = entries.filter((name) => name.startsWith(prefix) && name !== own);
  const alive = await Promise.all(
    names.map(async (name) => {
      const [, pid, start] = name.split('-');
      const isAlive = (await startOf(Number(pid))) === start;
      if (!isAlive) await removeUser(dir, name).catch(() => {});
      return isAlive;
    }),
  );
  return alive.filter(Boolean).length;
}
