import { open, rename, stat, unlink } from 'node:fs/promises';

// Room for the pages that removing rows changes; a batch may need more, single rows never do.
const reserveSize = 1024 * 1024;

/**
 * Space set aside while the disk has some. Removing a row takes room in the index before its bytes give any back, so on a
 * full disk nothing could be deleted without it.
 */
export class Reserve {
  readonly #path: string;
  #spent = false;
  #restoring: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Gives the space up. @returns whether that gained any */
  async spend(): Promise<boolean> {
    this.#spent = true;
    return unlink(this.#path).then(
      () => true,
      () => false,
    );
  }

  /** Sets the space aside, unless it is; a disk that has none is asked again by the next call. Rejects with what it says. */
  restore(): Promise<void> {
    return (this.#restoring ??= this.#restore().finally(() => (this.#restoring = undefined)));
  }

  async restoreIfSpent(): Promise<void> {
    if (this.#spent) await this.restore();
  }

  async #restore(): Promise<void> {
    try {
      const found = await stat(this.#path).catch(() => undefined);
      if (found?.size !== reserveSize) await this.#create();
      this.#spent = false;
    } catch (error) {
      this.#spent = true;
      throw error;
    }
  }

  async #create(): Promise<void> {
    const draft = `${this.#path}.new`; // of one name, so that what a killed process leaves is not left for good
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(Buffer.alloc(reserveSize, 'reserve '));
      await file.datasync(); // where space is allocated late, it is now
    } catch (error) {
      await unlink(draft);
      throw error;
    } finally {
      await file.close();
    }
    await rename(draft, this.#path);
  }
}
