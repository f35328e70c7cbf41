import type { Output } from '../output.ts';
import { problemOf, ReportedError } from '../problem.ts';
import { printableJson } from './printable.ts';

/**
 * One JSON object on stdout, written member by member, so that it is never held in memory as a whole. It is written in whole lines: on a
 * terminal, failures and progress come between them.
 */
export class JsonDocument {
  readonly #output: Output;
  #members = 0;
  /** The last line so far: what follows decides how it ends. */
  #line = '';
  /** The array that is being written, and how many elements it has. */
  #open: { readonly name: string; length: number } | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  value(name: string, value: unknown): void {
    this.#member(name, printableJson(value));
  }

  /** Appends to the array of this name if that is the last member so far; otherwise begins it. */
  array(name: string, elements: readonly unknown[]): void {
    let open = this.#open;
    if (open?.name !== name) {
      this.#member(name, '[');
      this.#open = open = { name, length: 0 };
    }
    for (const element of elements) this.#next(open.length++ === 0 ? '' : ',', `    ${printableJson(element)}`);
  }

  /**
   * Runs `write`, which writes the document, and completes it; without `--json`, there is none. An error after the first member
   * becomes the last member, so that stdout is one valid document whatever happens.
   * @throws ReportedError then; the error itself when nothing has been written yet
   */
  async guard(write: () => Promise<void>): Promise<void> {
    if (!this.#output.json) return write();
    try {
      await write();
    } catch (error) {
      if (this.#members === 0) throw error;
      this.value('error', problemOf(error));
      this.#end();
      throw new ReportedError(error);
    }
    this.#end();
  }

  #member(name: string, text: string): void {
    this.#close();
    const line = `  ${JSON.stringify(name)}: ${text}`;
    this.#next(this.#members++ === 0 ? '{' : ',', line);
  }

  #close(): void {
    if (this.#open?.length === 0) this.#line += ']';
    else if (this.#open !== undefined) this.#next('', '  ]');
    this.#open = undefined;
  }

  #end(): void {
    this.#close();
    this.#output.write(`${this.#line}\n}\n`);
  }

  #next(end: '{' | ',' | '', line: string): void {
    this.#output.write(`${this.#line}${end}\n`);
    this.#line = line;
  }
}
