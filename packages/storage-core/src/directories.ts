import { fsync } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

/**
 * Creates a directory and its missing parents, one by one, so that they survive a power loss. Node's recursive mkdir retries forever where
 * an existing directory refuses new entries, as below /proc or for a name that an automounter does not know.
 */
export async function makeDirectories(path: string, mode: number): Promise<void> {
  if (await isDirectory(path)) return;
  const above = dirname(path);
  if (above !== path) await makeDirectories(above, mode);
  await mkdir(path, mode).catch(async (error: unknown) => {
    if (!(await isDirectory(path))) throw error; // otherwise somebody else has created it meanwhile
  });
  await syncDirectory(above).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EACCES') throw error; // names may be added where they may not be read
  });
}

export async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

// Errors of file systems that can sync only files (some FUSE file systems, some in virtual machines).
const notForDirectories: ReadonlySet<string> = new Set(['EINVAL', 'EBADF', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

// By descriptor: the handles that Yarn's Plug'n'Play substitutes for Node's cannot sync. Promisified once: every upload to a disk syncs.
const sync = promisify(fsync);

/** Makes the names in a directory survive a power loss, if the file system can. Windows has no such call and needs none. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await sync(directory.fd).catch((error: NodeJS.ErrnoException) => {
      if (!notForDirectories.has(error.code ?? '')) throw error;
    });
  } finally {
    await directory.close();
  }
}
