import { randomBytes } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { printableJson } from './printable.ts';

const maxMemory = 256 * 1024;

/** Keeps values for later, in order: a few in memory, many in a temporary file, or all in memory if no file can be written. */
export class Spool<T> {
  #lines: string[] = [];
  #size = 0;
  #file: FileHandle | undefined;
  /** Bytes of the file that are valid. */
  #length = 0;
  /** Lines after those, kept in memory because the file takes no more. */
  readonly #refused: string[] = [];
  #writing: Promise<void> = Promise.resolve();

  add(value: T): void {
    const line = `${printableJson(value)}\n`; // has none of the line breaks at which Node splits lines
    this.#lines.push(line);
    this.#size += line.length;
    if (this.#size >= maxMemory) this.#spill();
  }

  /** Yields all values; afterwards they are gone. */
  async *drain(): AsyncGenerator<T, void, undefined> {
    await this.#writing;
    try {
      if (this.#file !== undefined && this.#length > 0) {
        const lines = this.#file.readLines({ start: 0, end: this.#length - 1, autoClose: false });
        for await (const line of lines) yield JSON.parse(line) as T;
      }
      for (const line of this.#refused) yield JSON.parse(line) as T;
      for (const line of this.#lines) yield JSON.parse(line) as T;
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await this.#writing;
    const file = this.#file;
    this.#file = undefined;
    this.#length = 0;
    this.#refused.length = 0;
    this.#lines = [];
    await file?.close();
  }

  #spill(): void {
    const lines = this.#lines;
    this.#lines = [];
    this.#size = 0;
    this.#writing = this.#writing.then(() => this.#write(lines));
  }

  async #write(lines: readonly string[]): Promise<void> {
    if (this.#refused.length === 0 && (await this.#append(lines.join('')))) return;
    for (const line of lines) this.#refused.push(line);
  }

  /** @returns whether all of it is in the file */
  async #append(text: string): Promise<boolean> {
    const bytes = Buffer.from(text);
    try {
      this.#file ??= await openNameless();
      await this.#file.appendFile(bytes);
      this.#length += bytes.length;
      return true;
    } catch {
      return false;
    }
  }
}

/** The file loses its name at once, so that it is gone when this process ends, in whatever way. */
async function openNameless(): Promise<FileHandle> {
  const path = join(tmpdir(), `coffer-${randomBytes(8).toString('hex')}.jsonl`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path).catch(() => {}); // then it stays, but holds what it has to
  return file;
}
