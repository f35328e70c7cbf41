/** Results that wait for those of things planned before, at most. */
const most = 1000;

/** Puts results, which come in the order in which work ends, into that in which it was planned, as far as not too many have to wait. */
export class InOrder<R> {
  readonly #places = new WeakMap<object, number>();
  readonly #waiting = new Map<number, readonly R[]>();
  #planned = 0;
  /** What was planned before is waited for no more. */
  #next = 0;
  #held = 0;

  planned(work: object): void {
    this.#places.set(work, this.#planned++);
  }

  /** @returns what may be told now */
  ended(work: object, results: readonly R[] = []): readonly R[] {
    const place = this.#places.get(work);
    if (place === undefined || place < this.#next) return results;
    if (place !== this.#next) {
      this.#waiting.set(place, results);
      this.#held += weightOf(results);
      return this.#held > most ? this.rest() : [];
    }
    const due = [...results];
    for (let waiting: readonly R[] | undefined; (waiting = this.#waiting.get(++this.#next)) !== undefined;) {
      this.#waiting.delete(this.#next);
      this.#held -= weightOf(waiting);
      due.push(...waiting);
    }
    return due;
  }

  /** @returns what waits, in order */
  rest(): readonly R[] {
    const waiting = [...this.#waiting].toSorted(([a], [b]) => a - b);
    this.#next = Math.max(this.#next, (waiting.at(-1)?.[0] ?? -1) + 1);
    this.#waiting.clear();
    this.#held = 0;
    return waiting.flatMap(([, results]) => results);
  }
}

/** What has failed takes a place as well. */
function weightOf(results: readonly unknown[]): number {
  return Math.max(results.length, 1);
}
