import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds. */
const patience = 5000;

/** Tracks cleanup that runs on behalf of callers who did not wait for it. */
export class Cleaning {
  readonly #underWay = new Set<Promise<void>>();

  /** @returns a promise that resolves when the work has ended, even if it failed */
  run(work: Promise<void>): Promise<void> {
    const cleaning: Promise<void> = work.catch(() => {}).finally(() => this.#underWay.delete(cleaning));
    this.#underWay.add(cleaning);
    return cleaning;
  }

  /** Waits until all cleanup has ended, but no longer than `patience`. */
  async end(): Promise<void> {
    if (this.#underWay.size === 0) return;
    await Promise.race([Promise.all(this.#underWay), delay(patience, undefined, { ref: false })]);
  }
}
