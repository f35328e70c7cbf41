/** Servers refuse signatures that are 15 minutes off; the SDK corrects itself from here on. */
const mostSkew = 240_000;

/** The time as the server has it, once it has said that ours is wrong. */
export class Clock {
  #offset = 0;

  /** Milliseconds that the server is ahead. */
  get offset(): number {
    return this.#offset;
  }

  now(): number {
    return Date.now() + this.#offset;
  }

  /**
   * @param date the header of an answer that refuses a request
   * @param offset the one that the request was signed with: others may have learnt meanwhile
   * @returns whether the request may fare better now
   */
  learn(date: string | undefined, offset: number): boolean {
    const ahead = Date.parse(date ?? '') - Date.now();
    if (!(Math.abs(ahead - offset) >= mostSkew)) return false;
    this.set(ahead);
    return true;
  }

  /** Differences that do no harm change nothing. */
  set(offset: number): void {
    if (Math.abs(offset - this.#offset) >= mostSkew) this.#offset = offset;
  }
}
