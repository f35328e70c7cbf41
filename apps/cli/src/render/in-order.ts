/** Results that wait for those of things planned before, at most. */
const most = 1000;

/** Puts results, which come in the order in which work ends, into that in which it was planned, as far as not too many have to wait. */
export class InOrder<R> {
  readonly #places = new WeakMap<object, number>();
  readonly #waiting = new Map<number, readonly R[]>();
  #planned = 0;
  #next = 0;
  #held = 0;

  planned(work: object): void {
    this.#places.set(work, this.#planned++);
  }

  /** @returns what may be told now */
  ended(work: object, results: readonly R[] = []): readonly R[] {
    const place = this.#places.get(work);
    if (place === undefined) return results;
    if (place !== this.#next) {
      this.#waiting.set(place, results);
      this.#held += results.length;
      return this.#held > most ? this.rest() : [];
    }
    const due = [...results];
    for (let waiting: readonly R[] | undefined; (waiting = this.#waiting.get(++this.#next)) !== undefined;) {
      this.#waiting.delete(this.#next);
      this.#held -= waiting.length;
      due.push(...waiting);
    }
    return due;
  }

  /** @returns what waits, in order */
  rest(): readonly R[] {
    const places = [...this.#waiting.keys()].toSorted((a, b) => a - b);
    const due = places.flatMap((place) => this.#waiting.get(place) ?? []);
    for (const place of places) this.#waiting.set(place, []);
    this.#held = 0;
    return due;
  }
}
