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

  /** @returns whether a request may fare better now. @param date the header of an answer that refuses it */
  learn(date: string | undefined): boolean {
    const time = Date.parse(date ?? '');
    if (!(Math.abs(time - this.now()) >= mostSkew)) return false;
    this.#offset = time - Date.now();
    return true;
  }
}
