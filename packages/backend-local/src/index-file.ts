import { close, closeSync, fstatSync, lstatSync, open, openSync } from 'node:fs';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';

import { storageError } from '@coffer/storage-core';

import { CoalescedSync } from './coalesced-sync.ts';
import { busyError, isBusy, isFailedWrite, isFull, toOpeningError, toStorageError } from './errors.ts';
import { prepare } from './index-schema.ts';
import { LogDoubt } from './log-doubt.ts';
import { Reserve } from './reserve.ts';
import { datasync } from './sync.ts';

const openFile = promisify(open);
const closeFile = promisify(close);

// How long SQLite itself waits for a lock, blocking this thread. Beyond that a timer waits, so that other work goes on.
const blockingWaitMs = 25;
const longestWaitMs = 10_000;

const removalReserve = (path: string): Reserve => new Reserve(`${path}-reserve`);
/** Room that the first process to open the index uses; the last one to close the index frees it again. */
const openingReserve = (path: string): Reserve => new Reserve(`${path}-opening`, 128 * 1024);

/**
 * The SQLite file and its durability. A commit is written to the WAL without a sync (`synchronous = NORMAL`), so this
 * thread does not wait for the disk, except for the checkpoint that is due every 1,000 pages. `durable()` then syncs the
 * WAL on the thread pool, once for all concurrent callers.
 *
 * Syncing through our own file descriptor is sound: SQLite takes its locks on the other two files, the WAL keeps
 * its inode while a connection is open, and a checkpoint syncs the WAL and the database before it reuses the WAL. After a failed
 * sync, nothing counts as durable before such a checkpoint.
 */
export class IndexFile {
  readonly db: DatabaseSync;
  readonly #path: string;
  readonly #inode: number;
  readonly #wal: number;
  readonly #removalReserve: Reserve;
  readonly #openingReserve: Reserve;
  readonly #reservesRestored: Promise<void>;
  /** Whether there was no room for the opening reserve; `close()` then tries again. */
  #lacksOpeningReserve = false;
  readonly #sync: CoalescedSync;
  readonly #doubt: LogDoubt;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;

  private constructor(db: DatabaseSync, path: string, wal: number) {
    this.db = db;
    this.#path = path;
    this.#inode = lstatSync(path).ino;
    this.#wal = wal;
    this.#removalReserve = removalReserve(path);
    this.#openingReserve = openingReserve(path);
    this.#doubt = new LogDoubt(`${path}-doubtful`);
    this.#reservesRestored = this.#restoreReserves(); // only writers have to wait for it
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#sync = new CoalescedSync(() => this.#syncWal());
  }

  /**
   * Opens or creates the file. On a full disk, the first process to open it gets its room from the opening reserve, and from the
   * removal reserve only if that is not enough.
   * @throws storage_unavailable, access_denied, internal_error
   */
  static async open(path: string): Promise<IndexFile> {
    try {
      return await withReserve(removalReserve(path), () => withReserve(openingReserve(path), () => IndexFile.#openDatabase(path)));
    } catch (error) {
      throw await toOpeningError(error, path);
    }
  }

  static async #openDatabase(path: string): Promise<IndexFile> {
    let db: DatabaseSync | undefined;
    try {
      createPrivate(path);
      const opened = new DatabaseSync(path, { timeout: blockingWaitMs, enableForeignKeyConstraints: true });
      db = opened;
      await retryWhileBusy(() => prepare(opened));
      return new IndexFile(opened, path, await openFile(`${path}-wal`, 'r+'));
    } catch (error) {
      db?.close();
      throw error;
    }
  }

  /** Runs `work`, which must be synchronous; retries for up to 10 s while another process holds a lock. */
  async read<T>(work: () => T): Promise<T> {
    try {
      return await retryWhileBusy(work);
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /**
   * Like `read`, for work on many rows. It first lets other work go on: reads answer at once, so a caller who makes one after the other
   * would keep the event loop until the last.
   */
  async readMany<T>(work: () => T): Promise<T> {
    await setImmediate();
    return this.read(work);
  }

  /** Runs `work`, which must be synchronous, in a transaction that holds the write lock. Call `durable()` afterwards. */
  async write<T>(work: () => T): Promise<T> {
    try {
      return await retryWhileBusy(() => this.#transaction(work));
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /**
   * Like `write`, for work that frees space: on a full disk or an exceeded quota it uses the removal reserve. Call `freed()` once the
   * space is free.
   */
  async remove<T>(work: () => T): Promise<T> {
    try {
      return await withReserve(this.#removalReserve, () => retryWhileBusy(() => this.#transaction(work)));
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /** Restores the removal reserve after it was spent, before anyone else takes the room. */
  async freed(): Promise<void> {
    await this.#removalReserve.restore().catch(() => {}); // the next call tries again
  }

  /**
   * Restores a spent removal reserve before anything new is written. Otherwise writers would take the space that removals free, until
   * nothing could be removed any more.
   * @throws storage_unavailable while the disk has no room for the reserve
   */
  async assertRoom(): Promise<void> {
    try {
      await this.#removalReserve.restore();
    } catch (error) {
      if (isFull(error)) throw toStorageError(error);
    }
  }

  /**
   * SQLite keeps writing to its files after they are renamed or deleted, and nobody would find again what it commits then.
   * @throws storage_unavailable if the index was moved or removed
   */
  assertInPlace(): void {
    if (fstatSync(this.#wal).nlink > 0 && lstatSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode) return;
    const message = 'The index of the storage directory was moved or removed while this process was using it; put it back and restart.';
    throw storageError('storage_unavailable', message, { retryable: false });
  }

  /** Resolves once everything that was committed before the call survives a power loss. */
  async durable(): Promise<void> {
    try {
      await this.#sync.sync();
    } catch (error) {
      throw toStorageError(error);
    }
  }

  async close(): Promise<void> {
    await this.#reservesRestored;
    this.db.close();
    await closeFile(this.#wal);
    if (this.#lacksOpeningReserve) await this.#openingReserve.restore().catch(() => {}); // fails if others still have the index open
  }

  async #restoreReserves(): Promise<void> {
    await this.#removalReserve.restore().catch(() => {});
    await this.#openingReserve.restore().catch(() => (this.#lacksOpeningReserve = true));
  }

  async #syncWal(): Promise<void> {
    if (this.#doubt.isRaised()) await withReserve(this.#removalReserve, () => retryWhileBusy(() => this.#emptyWal()));
    try {
      await datasync({ fd: this.#wal });
    } catch (error) {
      this.#doubt.raise();
      throw error;
    }
  }

  /**
   * Writes everything to the database, synced, so that later commits do not follow ones that the WAL may have lost. The database may grow
   * by this where the WAL did not: on a full disk, removals have to be able to go on.
   */
  #emptyWal(): void {
    const { busy } = this.db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { readonly busy: number };
    if (busy !== 0) throw busyError(); // another process reads, or empties it as well
    this.#doubt.settle();
  }

  #transaction<T>(work: () => T): T {
    this.assertInPlace();
    this.#begin.run();
    try {
      const result = work();
      this.#commit.run();
      return result;
    } catch (error) {
      if (this.db.isTransaction) this.db.exec('ROLLBACK');
      throw error;
    }
  }
}

/**
 * Creates the file for its owner only, like everything here; SQLite gives the other two files the same mode. An existing file is not
 * opened, because closing the descriptor would drop the locks that this process has on it.
 */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Runs `work`; if the disk has no room for it, runs it once more with the space of `reserve`. */
async function withReserve<T>(reserve: Reserve, work: () => Promise<T>): Promise<T> {
  return work().catch((error: unknown) => {
    if (!isFull(error) && !isFailedWrite(error)) throw error;
    return reserve.spend(work);
  });
}

async function retryWhileBusy<T>(work: () => T): Promise<T> {
  const started = performance.now();
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() - started > longestWaitMs) throw error;
      await delay(5 + Math.random() * 20);
    }
  }
}
