import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { StartupError } from './startup-error.ts';

/**
 * Creates the data directory unless it is there. Only its owner can list it; of root's, others may reach what they know
 * the name of, since the embedded PostgreSQL then runs as another user.
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

/** One by one: where none can be made in one that is there, as below /proc, Node's own way tries for ever. */
async function makeDirectories(path: string, mode: number): Promise<void> {
  if (await isDirectory(path)) return;
  const above = dirname(path);
  if (above !== path) await makeDirectories(above, mode);
  await mkdir(path, mode).catch(async (error: unknown) => {
    if (!(await isDirectory(path))) throw error; // else somebody else has made it meanwhile
  });
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
