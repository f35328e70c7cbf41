/** The most results that may wait for those of earlier tasks. */
const most = 1000;

/** Sorts results from the order in which tasks end into the order in which they were planned, as long as not too many have to wait. */
export class InOrder<R> {
  readonly #places = new WeakMap<object, number>();
  readonly #waiting = new Map<number, readonly R[]>();
  #planned = 0;
  /** The place whose results are due next; nothing waits for earlier ones any more. */
  #next = 0;
  #held = 0;

  planned(work: object): void {
    this.#places.set(work, this.#planned++);
  }

  /** @returns the results that can be shown now */
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

  /** @returns all waiting results, in order */
  rest(): readonly R[] {
    const waiting = [...this.#waiting].toSorted(([a], [b]) => a - b);
    this.#next = Math.max(this.#next, (waiting.at(-1)?.[0] ?? -1) + 1);
    this.#waiting.clear();
    this.#held = 0;
    return waiting.flatMap(([, results]) => results);
  }
}

/** A task that failed takes up space as well. */
function weightOf(results: readonly unknown[]): number {
  return Math.max(results.length, 1);
}
