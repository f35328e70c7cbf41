import { lstatSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';

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

/** Makes the bytes of a closed file survive a power loss. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await sync(file);
  } finally {
    await file.close();
  }
}
