import { makeDirectories } from '@coffer/storage-core';

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
