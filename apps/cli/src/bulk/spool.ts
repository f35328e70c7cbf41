import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const most = 256 * 1024;

/** Values that are kept for later in the order they came: a few in memory, many in a temporary file. */
export class Spool<T> {
  #lines: string[] = [];
  #size = 0;
  #file: Promise<FileHandle> | undefined;
  #path = '';
  #writing: Promise<void> = Promise.resolve();

  add(value: T): void {
    const line = `${JSON.stringify(value)}\n`;
    this.#lines.push(line);
    this.#size += line.length;
    if (this.#size >= most) this.#spill();
  }

  /** All of them; afterwards they are gone. */
  async *drain(): AsyncGenerator<T, void, undefined> {
    await this.#writing;
    try {
      if (this.#file !== undefined) {
        const { createInterface } = await import('node:readline');
        for await (const line of createInterface({ input: createReadStream(this.#path) })) yield JSON.parse(line) as T;
      }
      for (const line of this.#lines) yield JSON.parse(line) as T;
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {});
    const file = await this.#file;
    this.#file = undefined;
    this.#lines = [];
    await file?.close();
    if (this.#path !== '') await rm(this.#path, { force: true });
  }

  #spill(): void {
    const text = this.#lines.join('');
    this.#lines = [];
    this.#size = 0;
    this.#path ||= join(tmpdir(), `coffer-${randomBytes(8).toString('hex')}.jsonl`);
    this.#file ??= open(this.#path, 'wx', 0o600);
    const file = this.#file;
    this.#writing = this.#writing.then(async () => (await file).appendFile(text));
    this.#writing.catch(() => {}); // whoever drains it learns of it
  }
}
