import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { open, rename, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

import { datasync } from './sync.ts';

/** Bytes: room for the pages that removing rows changes; a batch may need more, single rows never do. */
const forRemovals = 1024 * 1024;

/**
 * Space set aside while the disk has some. Removing a row takes room in the index before its bytes give any back, so on a
 * full disk nothing could be deleted without it.
 */
export class Reserve {
  readonly #path: string;
  readonly #size: number;
  #restoring: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string, size: number = forRemovals) {
    this.#path = path;
    this.#size = size;
  }

  /** Does `work` with the space given up: what this process sets aside anew waits for it. */
  spend<T>(work: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      await unlink(this.#path).catch(() => {}); // whoever was at it before has spent it, or there never was room for it
      return work();
    });
  }

  /** Sets the space aside, unless it is; a disk that has none is asked again by the next call. Rejects with what it says. */
  async restore(): Promise<void> {
    if (this.#isWhole()) return;
    this.#restoring ??= this.#inTurn(() => this.#create()).finally(() => (this.#restoring = undefined));
    await this.#restoring;
  }

  /** Looked at each time, since another process may have spent it. Synchronous: it costs a microsecond. */
  #isWhole(): boolean {
    return lstatSync(this.#path, { throwIfNoEntry: false })?.size === this.#size;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work);
    this.#turn = done;
    return done;
  }

  async #create(): Promise<void> {
    const draft = `${this.#path}.new`; // of one name, so that what a killed process leaves is not left for good
    await assertRoomFor(draft, this.#size);
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(randomBytes(this.#size)); // what a file system could compress would take no room
      await datasync(file); // where space is allocated late, it is now
    } catch (error) {
      await unlink(draft).catch(() => {}); // another process that is at it has given it its name
      throw error;
    } finally {
      await file.close();
    }
    await rename(draft, this.#path);
  }
}

/** An attempt that fails would meanwhile take what little there is, and removals by other processes with it. */
async function assertRoomFor(draft: string, size: number): Promise<void> {
  const { blocks, bfree, bavail, bsize } = await statfs(dirname(draft));
  const left = lstatSync(draft, { throwIfNoEntry: false })?.size ?? 0; // which is written over
  const room = (process.getuid?.() === 0 ? bfree : bavail) * bsize + left;
  if (blocks > 0 && room < size) throw Object.assign(new Error(`There is room for ${room} bytes.`), { code: 'ENOSPC' });
}
