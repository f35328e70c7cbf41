import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { StartupError } from '../startup-error.ts';

/**
 * Runs `work` while no other process, and nothing else in this one, does so under the same path. The lock is SQLite's, on an empty
 * database: the system releases it when its holder dies, however it dies, so there are no stale locks to tell from fresh ones.
 * @throws StartupError when the lock is not available within `timeoutMs`; the reason of `signal`, which only ends the waiting
 */
export async function withLock<T>(
  path: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const { DatabaseSync } = await import('node:sqlite');
  restrictToOwner(path);
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    for (const deadline = performance.now() + timeoutMs; !tryLock(lock); await delay(20)) {
      signal?.throwIfAborted();
      if (performance.now() > deadline)
        throw new StartupError(`Another process has been starting or stopping PostgreSQL for ${timeoutMs / 1000} s (${path} is locked).`);
    }
    return await work();
  } finally {
    lock.close();
  }
}

/**
 * Anyone who can read the file can lock it, and so keep everybody from starting: where root's database runs as another user, the folders
 * above are open to those who know their names. Synchronous, and never through a descriptor of an existing file: the system releases a
 * process's locks on a file when the process closes any descriptor of it.
 */
function restrictToOwner(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch {
    // SQLite reports why it cannot be created; most likely it exists, from an earlier version.
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o077) === 0) return;
    try {
      chmodSync(path, 0o600);
    } catch {
      // a file system without modes
    }
  }
}

function tryLock(lock: { exec(sql: string): void }): boolean {
  try {
    lock.exec('PRAGMA journal_mode = MEMORY'); // a journal file would find no room on a full disk
    lock.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    const { errcode, message } = error as Error & { readonly errcode?: number };
    if (errcode === busy || (errcode === undefined && message === 'database is locked')) return false; // Deno gives no number
    throw error;
  }
}

/** @see https://www.sqlite.org/rescode.html#busy */
const busy = 5;
