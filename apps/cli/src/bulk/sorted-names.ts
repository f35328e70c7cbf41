/** Names that arrive in byte order, as listings do. They must be asked for in the same order, so that none has to be remembered. */
export class SortedNames {
  readonly #names: AsyncIterator<string>;
  #next: string | undefined;
  #isBegun = false;

  constructor(names: AsyncIterable<string>) {
    this.#names = names[Symbol.asyncIterator]();
  }

  /** @param name must not sort before a name asked for earlier */
  async has(name: string): Promise<boolean> {
    if (!this.#isBegun) await this.#advance();
    this.#isBegun = true;
    const target = Buffer.from(name);
    while (this.#next !== undefined && Buffer.compare(Buffer.from(this.#next), target) < 0) await this.#advance();
    return this.#next === name;
  }

  async close(): Promise<void> {
    await this.#names.return?.();
  }

  async #advance(): Promise<void> {
    const { done, value } = await this.#names.next();
    this.#next = done === true ? undefined : value;
  }
}
