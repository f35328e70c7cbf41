interface Member<T> {
  readonly value: T;
  place: number;
}

/**
 * What comes and goes with every call, in no order. Not a `Set`: that makes itself a new table every few changes, and the old table points
 * to the new one. Once V8 has moved one of them to its old space, all later ones, and whatever they held, count as in use until the whole
 * heap is collected: finished requests, of some KiB each, are copied twice and fill the heap.
 */
export class InFlight<T> {
  readonly #members: Member<T>[] = [];

  /** @returns a function that removes it; calling that again does nothing */
  add(value: T): () => void {
    const member = { value, place: this.#members.length };
    this.#members.push(member);
    return () => this.#remove(member);
  }

  /** The current members, whatever leaves meanwhile. */
  values(): T[] {
    return this.#members.map(({ value }) => value);
  }

  #remove(member: Member<T>): void {
    if (this.#members[member.place] !== member) return;
    const last = this.#members.pop()!;
    if (last === member) return;
    this.#members[member.place] = last;
    last.place = member.place;
  }
}
