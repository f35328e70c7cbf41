import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { StartupError } from './startup-error.ts';

/**
 * Creates the data directory unless it exists. Only its owner can list it. If the owner is root, others can reach entries whose names they
 * know, since the embedded PostgreSQL then runs as another user.
 */
export async function ensureDataDir(dataDir: string): Promise<void> {
  try {
    await makeDirectories(dataDir, process.getuid?.() === 0 ? 0o711 : 0o700);
  } catch (cause) {
    throw new StartupError(
      `The data directory ${dataDir} cannot be created (${(cause as NodeJS.ErrnoException).code}); set COFFER_DATA_DIR to another one.`,
      { cause },
    );
  }
}

/** One by one: where an existing directory takes no new ones, as below /proc, Node's own recursion tries forever. */
async function makeDirectories(path: string, mode: number): Promise<void> {
  if (await isDirectory(path)) return;
  const above = dirname(path);
  if (above !== path) await makeDirectories(above, mode);
  await mkdir(path, mode).catch(async (error: unknown) => {
    if (!(await isDirectory(path))) throw error; // otherwise somebody else has created it meanwhile
  });
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
