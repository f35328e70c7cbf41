import { lstatSync } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { codeOf, linkError } from './errors.ts';
import { sync } from './sync.ts';

/**
 * Refuses a link or a file where the storage expects a directory: bytes would be written or read outside the storage. Synchronous,
 * since it runs right before each use and costs microseconds.
 * @returns whether the directory exists
 * @throws access_denied
 */
export function assertDirectory(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  if (!stats.isDirectory()) throw linkError();
  return true;
}

/** Creates a directory if it is missing, but not its parent: part of a storage that was moved away must not be recreated. */
export async function makeDirectory(path: string): Promise<void> {
  for (;;) {
    try {
      return await mkdir(path, 0o700);
    } catch (error) {
      if (assertDirectory(path)) return;
      if (codeOf(error) !== 'EEXIST') throw error; // otherwise it existed, and was removed since
    }
  }
}

/**
 * Creates a directory and its missing parents, one by one. Node's recursive mkdir retries forever where an existing directory refuses
 * new entries, as below /proc or for a name that an automounter does not know.
 */
export async function makeDirectories(path: string): Promise<void> {
  if (await isDirectory(path)) return;
  const above = dirname(path);
  if (above !== path) await makeDirectories(above);
  await mkdir(path, 0o700).catch(async (error: unknown) => {
    if (!(await isDirectory(path))) throw error; // otherwise someone else created it meanwhile
  });
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

// Errors of file systems that can sync only files (some FUSE file systems, some in virtual machines).
const notForDirectories: ReadonlySet<string> = new Set(['EINVAL', 'EBADF', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** Makes the names in a directory survive a power loss, if the file system can. Windows has no such call and needs none. */
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
