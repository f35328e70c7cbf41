/** Milliseconds. Servers refuse signatures that are 15 minutes off; the SDK corrects its clock from this difference on. */
const maxSkew = 240_000;

/** The server's time, once it has shown that ours is wrong. */
export class Clock {
  #offset = 0;

  /** Milliseconds by which the server is ahead. */
  get offset(): number {
    return this.#offset;
  }

  now(): number {
    return Date.now() + this.#offset;
  }

  /**
   * @param date the Date header of an answer that refuses a request
   * @param offset the offset that the request was signed with: others may have corrected the clock meanwhile
   * @returns whether the request may succeed now
   */
  learn(date: string | undefined, offset: number): boolean {
    const ahead = Date.parse(date ?? '') - Date.now();
    if (!(Math.abs(ahead - offset) >= maxSkew)) return false;
    this.set(ahead);
    return true;
  }

  /** Ignores harmless differences. */
  set(offset: number): void {
    if (Math.abs(offset - this.#offset) >= maxSkew) this.#offset = offset;
  }
}
