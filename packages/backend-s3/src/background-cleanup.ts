import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds. */
const drainTimeout = 5000;

/** Tracks cleanup that runs on behalf of callers who did not wait for it. */
export class BackgroundCleanup {
  readonly #pending = new Set<Promise<void>>();

  /** @returns a promise that resolves when the work has ended, even if it failed */
  run(work: Promise<void>): Promise<void> {
    const cleaning: Promise<void> = work.catch(() => {}).finally(() => this.#pending.delete(cleaning));
    this.#pending.add(cleaning);
    return cleaning;
  }

  /** Waits until all cleanup has ended, but no longer than `drainTimeout`. */
  async drain(): Promise<void> {
    if (this.#pending.size === 0) return;
    await Promise.race([Promise.all(this.#pending), delay(drainTimeout, undefined, { ref: false })]);
  }
}
