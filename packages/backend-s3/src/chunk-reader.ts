import type { Readable } from 'node:stream';

import { isDirectSource, readInto } from '@coffer/storage-core';

const chunkBytes = 64 * 1024;

/** Reads a stream in the amounts that its reader wants. Rejects with the stream's own error. */
export class ChunkReader {
  /** What comes next, at most `most` bytes where the source can be told; undefined at the end. */
  readonly #next: (most: number) => Promise<Buffer | undefined>;
  /** The same into memory that is there, of a source that can do so. */
  readonly #readInto: ((target: Buffer) => Promise<number>) | undefined;
  #left: Buffer | undefined;
  #size = 0;
  #failure: Error | undefined;
  #fail: ((reason: Error) => void) | undefined;

  constructor(stream: Readable) {
    if (isDirectSource(stream)) {
      this.#readInto = (target) => stream[readInto](target);
      this.#next = async (most) => {
        const chunk = Buffer.allocUnsafe(most);
        const bytes = await stream[readInto](chunk);
        return bytes === 0 ? undefined : chunk.subarray(0, bytes);
      };
    } else {
      const iterator = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
      this.#next = async () => {
        const { done, value } = await iterator.next();
        return done === true ? undefined : value;
      };
    }
    const destroy = stream.destroy.bind(stream);
    // A stream that is destroyed ends its reader at once: one that waits for a generator would wait for it here, too.
    stream.destroy = (error) => {
      if (error) this.#giveUp(error);
      return destroy(error);
    };
  }

  /** Bytes handed out so far. */
  get size(): number {
    return this.#size;
  }

  /** Whether there is another byte. */
  async more(): Promise<boolean> {
    return this.#load(1);
  }

  /** Chunks as they come, until they are `atLeast` so many bytes or the stream ends. */
  async chunks(atLeast: number): Promise<Buffer[]> {
    const chunks: Buffer[] = [];
    for (let size = 0; size < atLeast && (await this.#load(chunkBytes));) {
      const chunk = this.#left!;
      this.#left = undefined;
      chunks.push(chunk);
      size += chunk.length;
      this.#size += chunk.length;
    }
    return chunks;
  }

  /** The last bytes that were handed out come again. */
  unread(bytes: Buffer): void {
    this.#left = this.#left === undefined ? bytes : Buffer.concat([bytes, this.#left]);
    this.#size -= bytes.length;
  }

  /** Fills `target` from `start` on. @returns where the bytes end: before the end of `target` when the stream is over */
  async fill(target: Buffer, start = 0): Promise<number> {
    let end = start;
    while (end < target.length) {
      const read = this.#readInto;
      if (read !== undefined && this.#left === undefined) {
        const free = target.subarray(end);
        const bytes = await this.#unlessGivenUp(() => read(free));
        if (bytes === 0) break;
        end += bytes;
        continue;
      }
      if (!(await this.#load(chunkBytes))) break;
      const chunk = this.#left!;
      const copied = chunk.copy(target, end);
      this.#left = copied < chunk.length ? chunk.subarray(copied) : undefined;
      end += copied;
    }
    this.#size += end - start;
    return end;
  }

  async #load(most: number): Promise<boolean> {
    while (this.#left === undefined || this.#left.length === 0) {
      this.#left = await this.#unlessGivenUp(() => this.#next(most));
      if (this.#left === undefined) return false;
    }
    return true;
  }

  #unlessGivenUp<T>(read: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#fail = reject;
      read().then(resolve, reject);
    });
  }

  #giveUp(reason: Error): void {
    this.#failure = reason;
    this.#fail?.(reason);
  }
}
