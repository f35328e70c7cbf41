import { matches } from '../load/generated-bytes.ts';
import { Cut, Refusal, send } from './exchange.ts';
import type { Head, RequestOptions } from './exchange.ts';
import type { Slot, State, Version } from './slot.ts';

export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads what is at an address: all of a version that may be there, or a range of it.
 * @returns how many bytes arrived, or `replaced` if the response was cut because the content was replaced or deleted
 * @throws Error when a byte belongs to no such version
 */
export function read(slot: Slot, ask: RequestOptions, range?: Range): Promise<number | 'replaced'> {
  return slot.read(async (states) => {
    let body: Body | undefined;
    const onBody = (head: Head): ((chunk: Buffer) => void) => {
      body = new Body(slot.name, versionsOf(states), head, range);
      return (chunk) => body!.take(chunk);
    };
    const asked = range === undefined ? {} : { range: `bytes=${range.start}-${range.end}` };
    try {
      const answer = await send({ ...ask, headers: { ...ask.headers, ...asked }, onBody });
      const isAbsent = answer.status === 404 && states.has('absent');
      const isBehind = answer.status === 416 && versionsOf(states).some(({ size }) => size <= (range?.start ?? -1));
      if (body === undefined && !isAbsent && !isBehind) throw new Refusal(`${ask.url} (${slot.name})`, answer);
      return body?.end() ?? 0;
    } catch (error) {
      if (error instanceof Cut && body !== undefined && states.size > 1) return 'replaced';
      throw error;
    }
  });
}

const versionsOf = (states: ReadonlySet<State>): readonly Version[] => [...states].filter((state) => state !== 'absent');

/** Compares a body, as it arrives, with the versions that it may be. */
class Body {
  readonly #name: string;
  readonly #length: number;
  #versions: readonly Version[];
  #start = 0;
  #received = 0;

  constructor(name: string, versions: readonly Version[], { status, headers }: Head, range: Range | undefined) {
    this.#name = name;
    this.#length = Number(headers['content-length']);
    const told = /^bytes (\d+)-(\d+)\/(\d+)$/
      .exec(headers['content-range'] ?? '')
      ?.slice(1)
      .map(Number);
    if ((status === 206) !== (range !== undefined && told !== undefined)) throw new Error(`${name}: a ${status} for another question.`);
    const [start = 0, end = this.#length - 1, size = this.#length] = told ?? [];
    this.#start = start;
    this.#versions = versions.filter((version) => version.size === size);
    const isAsked = range === undefined || (start === range.start && end === Math.min(range.end, size - 1));
    if (this.#versions.length === 0 || !isAsked || this.#length !== end - start + 1) {
      const known = versions.map((version) => version.size).join(', ');
      throw new Error(`${name}: bytes ${start}-${end} of ${size}, of which ${this.#length} are to come; its size may be ${known}.`);
    }
  }

  take(chunk: Buffer): void {
    const at = this.#start + this.#received;
    this.#versions = this.#versions.filter(({ seed }) => matches(chunk, seed + at));
    if (this.#versions.length === 0) throw new Error(`${this.#name}: the bytes near ${at} are of no version, or of another one.`);
    this.#received += chunk.length;
  }

  end(): number {
    if (this.#received === this.#length) return this.#received;
    throw new Error(`${this.#name}: ${this.#received} bytes came of ${this.#length}.`);
  }
}
