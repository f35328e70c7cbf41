import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds. */
const patience = 5000;

/** What is cleaned up for callers who did not wait. */
export class Cleaning {
  readonly #underWay = new Set<Promise<void>>();

  /** @returns once the work is over, however it ends */
  run(work: Promise<void>): Promise<void> {
    const cleaning: Promise<void> = work.catch(() => {}).finally(() => this.#underWay.delete(cleaning));
    this.#underWay.add(cleaning);
    return cleaning;
  }

  /** Waits until all of it is over, but only for a while. */
  async end(): Promise<void> {
    if (this.#underWay.size === 0) return;
    await Promise.race([Promise.all(this.#underWay), delay(patience, undefined, { ref: false })]);
  }
}
