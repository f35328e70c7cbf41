import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { StartupError } from '../startup-error.ts';

/**
 * Runs `work` while no other process, and nobody else in this one, does so under the same path.
 * The lock is SQLite's on an empty database: the system lets go of it when its holder dies, however it dies, so there
 * are no stale locks to tell from fresh ones.
 * @throws StartupError when it cannot be had within `timeoutMs`; the reason of `signal`, which only ends the waiting
 */
export async function withLock<T>(
  path: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const { DatabaseSync } = await import('node:sqlite');
  closeToOthers(path);
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    for (const until = performance.now() + timeoutMs; !tryLock(lock); await delay(20)) {
      signal?.throwIfAborted();
      if (performance.now() > until)
        throw new StartupError(`Another process has been starting or stopping PostgreSQL for ${timeoutMs / 1000} s (${path} is locked).`);
    }
    return await work();
  } finally {
    lock.close();
  }
}

/**
 * Who may only read a file can lock it all the same, and keep everybody from starting: where root's database runs as another user, the
 * folders above are open to those who know their names. Synchronous, and through no descriptor of a file that is there: the system
 * lets go of a process's locks when the process closes any of its descriptors.
 */
function closeToOthers(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch {
    // SQLite says why it cannot be made; most likely it is there, and of an earlier version.
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o077) === 0) return;
    try {
      chmodSync(path, 0o600);
    } catch {
      // a file system that keeps no modes
    }
  }
}

function tryLock(lock: { exec(sql: string): void }): boolean {
  try {
    lock.exec('PRAGMA journal_mode = MEMORY'); // its journal would be a file, and on a full disk there is no room for one
    lock.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    const { errcode, message } = error as Error & { readonly errcode?: number };
    if (errcode === busy || (errcode === undefined && message === 'database is locked')) return false; // Deno tells no number
    throw error;
  }
}

/** @see https://www.sqlite.org/rescode.html#busy */
const busy = 5;
