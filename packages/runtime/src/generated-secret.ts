import { randomBytes } from 'node:crypto';
import { chmod, link, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { syncDirectory } from '@coffer/storage-core';

import { ensureDataDir } from './data-dir.ts';
import { ignoreExisting } from './ignore-existing.ts';
import { StartupError } from './startup-error.ts';
import { writeDurably } from './write-durably.ts';

const secretPattern = /^[A-Za-z0-9_-]{43,}$/;

/**
 * The secret of this data directory, created on first use: the bytes of its text, as if AUTH_JWT_SECRET held it. Processes that start
 * together get the same one.
 * @throws StartupError when the file is damaged or cannot be read or written
 */
export async function generatedSecret(dataDir: string): Promise<Buffer> {
  const path = join(dataDir, 'secret');
  try {
    const found = await readSecret(path);
    if (found !== undefined) return found;
    await ensureDataDir(dataDir);
    await createSecret(path);
    const created = await readSecret(path);
    if (created !== undefined) return created;
  } catch (cause) {
    if (cause instanceof StartupError) throw cause;
    throw new StartupError(`The signing secret ${path} cannot be read or written (${(cause as NodeJS.ErrnoException).code}).`, { cause });
  }
  throw new StartupError(`The signing secret ${path} vanished while it was being created.`);
}

async function readSecret(path: string): Promise<Buffer | undefined> {
  for (let attempt = 1; ; attempt++) {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    if (secretPattern.test(text.trim())) {
      if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600);
      return Buffer.from(text.trim());
    }
    // Without hard links, another process may be writing it right now.
    if (attempt === 10) {
      throw new StartupError(
        `The signing secret ${path} is damaged. Restore it, or delete it to get a new one: tokens and URLs signed with it then stop working.`,
      );
    }
    await delay(50);
  }
}

/** Whole or not at all, and never over another process's file. */
async function createSecret(path: string): Promise<void> {
  const text = `${randomBytes(32).toString('base64url')}\n`;
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await writeDurably(draft, text);
    // If this fails, the file exists, or the file system has no hard links.
    await link(draft, path).catch(() => writeDurably(path, text).catch(ignoreExisting));
    await syncDirectory(dirname(path));
  } finally {
    await rm(draft, { force: true });
  }
}
