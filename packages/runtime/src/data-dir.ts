import { mkdir } from 'node:fs/promises';

import { StartupError } from './startup-error.ts';

/**
 * Creates the data directory unless it is there. Only its owner can list it; of root's, others may reach what they know
 * the name of, since the embedded PostgreSQL then runs as another user.
 */
export async function ensureDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  } catch (cause) {
    throw new StartupError(
      `The data directory ${dataDir} cannot be created (${(cause as NodeJS.ErrnoException).code}); set COFFER_DATA_DIR to another one.`,
      { cause },
    );
  }
}
