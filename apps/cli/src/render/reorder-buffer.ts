/** The most results that may wait for those of earlier tasks. */
const maxBuffered = 1000;

/** Sorts results from the order in which tasks end into the order in which they were planned, as long as not too many have to wait. */
export class ReorderBuffer<R> {
  readonly #positions = new WeakMap<object, number>();
  readonly #buffered = new Map<number, readonly R[]>();
  #planned = 0;
  /** The position whose results are due next; nothing waits for earlier ones any more. */
  #next = 0;
  #size = 0;

  planned(work: object): void {
    this.#positions.set(work, this.#planned++);
  }

  /** @returns the results that can be shown now */
  ended(work: object, results: readonly R[] = []): readonly R[] {
    const position = this.#positions.get(work);
    if (position === undefined || position < this.#next) return results;
    if (position !== this.#next) {
      this.#buffered.set(position, results);
      this.#size += weightOf(results);
      return this.#size > maxBuffered ? this.drain() : [];
    }
    const ready = [...results];
    this.#next++;
    for (;;) {
      const following = this.#buffered.get(this.#next);
      if (following === undefined) return ready;
      this.#buffered.delete(this.#next);
      this.#size -= weightOf(following);
      ready.push(...following);
      this.#next++;
    }
  }

  /** @returns all waiting results, in order */
  drain(): readonly R[] {
    const waiting = [...this.#buffered].toSorted(([a], [b]) => a - b);
    this.#next = Math.max(this.#next, (waiting.at(-1)?.[0] ?? -1) + 1);
    this.#buffered.clear();
    this.#size = 0;
    return waiting.flatMap(([, results]) => results);
  }
}

/** A task that failed takes up space as well. */
function weightOf(results: readonly unknown[]): number {
  return Math.max(results.length, 1);
}
