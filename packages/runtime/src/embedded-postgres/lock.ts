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
