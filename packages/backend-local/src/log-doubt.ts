import { closeSync, existsSync, openSync, unlinkSync } from 'node:fs';

/**
 * Whether the index's log may have lost commits: the system may have dropped what a sync could not write, and the next sync would not tell.
 * An empty file beside the index says so, above all to processes that open it later, because the system never tells them.
 */
export class LogDoubt {
  readonly #path: string;
  #isRaised = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Looked up each time, since another process may have raised it. Synchronous: it costs microseconds, and a sync much more. */
  isRaised(): boolean {
    return this.#isRaised || existsSync(this.#path);
  }

  raise(): void {
    this.#isRaised = true;
    try {
      closeSync(openSync(this.#path, 'wx', 0o600));
    } catch {
      // It is there already, or the disk does not take it: then this process knows, and those that are told when they sync.
    }
  }

  /** Call it once everything in the log is durable. */
  settle(): void {
    this.#isRaised = false;
    try {
      unlinkSync(this.#path);
    } catch {
      // There was none; or it stays, and every sync begins with a checkpoint.
    }
  }
}
