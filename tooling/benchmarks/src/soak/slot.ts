/** Bytes: so many of the generated ones, from there on. */
export interface Version {
  readonly seed: number;
  readonly size: number;
}
export type State = Version | 'absent';

/** Milliseconds in which a store may still do what nobody heard the end of. */
const settling = 10_000;

/** A key, or a file: what it may hold at present. Of what changes it there is one at a time; readers come and go. */
export class Slot {
  readonly name: string;
  /** Grows with whatever may change it. */
  changes = 0;
  #possible: ReadonlySet<State>;
  readonly #readers = new Set<Set<State>>();
  #isTaken = false;
  #restsUntil = 0;

  constructor(name: string, state: State) {
    this.name = name;
    this.#possible = new Set([state]);
  }

  /** Undefined while it changes, and where nobody knows what came of that. */
  get state(): State | undefined {
    const [state, another] = this.#possible;
    return another === undefined ? state : undefined;
  }

  mayBe(state: State): boolean {
    return this.#possible.has(state);
  }

  /** Runs `work`, unless somebody else is changing it. @returns whether it did */
  async exclusively(work: () => Promise<void>): Promise<boolean> {
    if (this.#isTaken || performance.now() < this.#restsUntil) return false;
    this.#isTaken = true;
    try {
      await work();
    } finally {
      this.#isTaken = false;
    }
    return true;
  }

  /** To be called by whoever has it. Where `work` fails, either state is possible from then on. */
  async change(next: State, work: () => Promise<unknown>): Promise<void> {
    this.changes++;
    this.#possible = new Set([...this.#possible, next]);
    for (const seen of this.#readers) seen.add(next);
    try {
      await work();
      this.#possible = new Set([next]);
    } catch (error) {
      this.#restsUntil = performance.now() + settling;
      throw error;
    }
  }

  /** @param work is handed the states that it may find, to which those are added that come meanwhile */
  async read<T>(work: (states: ReadonlySet<State>) => Promise<T>): Promise<T> {
    const states = new Set(this.#possible);
    this.#readers.add(states);
    try {
      return await work(states);
    } finally {
      this.#readers.delete(states);
    }
  }
}
