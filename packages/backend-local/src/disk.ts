import { lstatSync } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { storageError } from '@coffer/storage-core';

import { codeOf } from './errors.ts';
import { sync } from './sync.ts';

/**
 * Refuses a path that is a link or a file where a directory of the storage belongs: bytes would go to, or come from,
 * outside. Synchronous, since it stands right before each use and costs microseconds.
 * @returns whether the directory is there
 * @throws access_denied
 */
export function assertDirectory(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  if (!stats.isDirectory()) {
    throw storageError('access_denied', 'The storage directory holds a link or a file where a directory belongs.');
  }
  return true;
}

/** Makes a directory, unless it is there, in one that is: a storage that was moved away is not to be made anew, in part. */
export async function makeDirectory(path: string): Promise<void> {
  for (;;) {
    try {
      return await mkdir(path, 0o700);
    } catch (error) {
      if (assertDirectory(path)) return;
      if (codeOf(error) !== 'EEXIST') throw error; // else it was there, and has been removed since
    }
  }
}

/**
 * Makes a directory and those above it. One by one: where none can be made in one that is there, as below /proc and where an
 * automounter knows no such name, Node's own way tries for ever.
 */
export async function makeDirectories(path: string): Promise<void> {
  if (await isDirectory(path)) return;
  const above = dirname(path);
  if (above !== path) await makeDirectories(above);
  await mkdir(path, 0o700).catch(async (error: unknown) => {
    if (!(await isDirectory(path))) throw error; // else somebody else has made it meanwhile
  });
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

// What file systems say that sync files alone (some FUSE, some of virtual machines).
const notForDirectories: ReadonlySet<string> = new Set(['EINVAL', 'EBADF', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** Makes the names in a directory survive a power loss. Windows has no such call and needs none; where others have none, nobody can. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await sync(directory).catch((error: unknown) => {
      if (!notForDirectories.has(codeOf(error) ?? '')) throw error;
    });
  } finally {
    await directory.close();
  }
}

/** Makes the bytes of a closed file survive a power loss. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await sync(file);
  } finally {
    await file.close();
  }
}
