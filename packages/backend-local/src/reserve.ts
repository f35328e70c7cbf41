import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { open, rename, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

import { datasync } from './sync.ts';

/** Bytes: room for the index pages that removing rows changes. A batch may need more, single rows never do. */
const defaultSize = 1024 * 1024;

/**
 * Space set aside while the disk has some. Removing a row takes room in the index before its bytes give any back, so without a
 * reserve nothing could be deleted on a full disk.
 */
export class Reserve {
  readonly #path: string;
  readonly #size: number;
  #restoring: Promise<void> | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(path: string, size: number = defaultSize) {
    this.#path = path;
    this.#size = size;
  }

  /** Frees the space and runs `work`. This process restores the reserve only after `work` is done. */
  spend<T>(work: () => Promise<T>): Promise<T> {
    return this.#enqueue(async () => {
      await unlink(this.#path).catch(() => {}); // already spent, or there never was room for it
      return work();
    });
  }

  /** Sets the space aside unless it already is. Rejects with the error of the disk when there is no room; the next call tries again. */
  async restore(): Promise<void> {
    if (this.#isWhole()) return;
    this.#restoring ??= this.#enqueue(() => this.#create()).finally(() => (this.#restoring = undefined));
    await this.#restoring;
  }

  /** Checked each time, since another process may have spent it. Synchronous: it costs a microsecond. */
  #isWhole(): boolean {
    return lstatSync(this.#path, { throwIfNoEntry: false })?.size === this.#size;
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work, work);
    this.#queue = done;
    return done;
  }

  async #create(): Promise<void> {
    const draft = `${this.#path}.new`; // a fixed name, so that the leftover of a killed process gets reused
    await assertRoomFor(draft, this.#size);
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(randomBytes(this.#size)); // random, because compressible bytes might take no room
      await datasync(file); // forces delayed allocation to happen now
    } catch (error) {
      await unlink(draft).catch(() => {}); // another process may have renamed it already
      throw error;
    } finally {
      await file.close();
    }
    await rename(draft, this.#path);
  }
}

/** A failed attempt would temporarily use up what little room there is, and make removals by other processes fail. */
async function assertRoomFor(draft: string, size: number): Promise<void> {
  const { blocks, bfree, bavail, bsize } = await statfs(dirname(draft));
  const leftover = lstatSync(draft, { throwIfNoEntry: false })?.size ?? 0; // will be overwritten
  const room = (process.getuid?.() === 0 ? bfree : bavail) * bsize + leftover;
  if (blocks > 0 && room < size) throw Object.assign(new Error(`There is room for ${room} bytes.`), { code: 'ENOSPC' });
}
