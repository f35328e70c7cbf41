import type { Readable } from 'node:stream';

import { isDirectSource, readInto } from '@coffer/storage-core';

import type { ChunkSource } from './chunk-source.ts';
import { directSource } from './direct-source.ts';
import { FlowingSource } from './flowing-source.ts';

const chunkBytes = 64 * 1024;

/** Reads a stream in the amounts that its reader wants. Rejects with the stream's own error. */
export class ChunkReader {
  readonly #source: ChunkSource;
  #leftover: Buffer | undefined;
  #size = 0;
  #failure: Error | undefined;
  #fail: ((reason: Error) => void) | undefined;

  constructor(stream: Readable) {
    this.#source = isDirectSource(stream) ? directSource((target) => stream[readInto](target)) : new FlowingSource(stream);
    const destroy = stream.destroy.bind(stream);
    // Destroying a stream ends its reader at once; a reader that waits for a generator would otherwise keep waiting for it. It gets the
    // error that the stream ends with: an open body turns errors of its socket into StorageErrors.
    const ending: Readable['destroy'] = (error) => {
      const destroyed = destroy(error);
      if (error) this.#giveUp(stream.errored ?? error);
      return destroyed;
    };
    stream.destroy = ending;
  }

  /** Bytes handed out so far. */
  get size(): number {
    return this.#size;
  }

  /** Whether there is another byte. */
  async hasMore(): Promise<boolean> {
    return this.#load(1);
  }

  /** Chunks as they arrive, until they hold `atLeast` bytes or the stream ends. */
  async chunks(atLeast: number): Promise<Buffer[]> {
    const chunks: Buffer[] = [];
    for (let size = 0; size < atLeast && (await this.#load(chunkBytes));) {
      const chunk = this.#leftover!;
      this.#leftover = undefined;
      chunks.push(chunk);
      size += chunk.length;
      this.#size += chunk.length;
    }
    return chunks;
  }

  /** Puts back the last bytes that were handed out. */
  unread(bytes: Buffer): void {
    this.#leftover = this.#leftover === undefined ? bytes : Buffer.concat([bytes, this.#leftover]);
    this.#size -= bytes.length;
  }

  /** Fills `target` from `start` on. @returns where the bytes end: before the end of `target` if the stream has ended */
  async fill(target: Buffer, start = 0): Promise<number> {
    let end = start;
    if (this.#leftover !== undefined) {
      end += this.#leftover.copy(target, end);
      this.#leftover = this.#leftover.length > end - start ? this.#leftover.subarray(end - start) : undefined;
    }
    if (end < target.length) {
      const free = end === 0 ? target : target.subarray(end);
      end += await this.#unlessGivenUp(() => this.#source.fill(free));
    }
    this.#size += end - start;
    return end;
  }

  async #load(maxBytes: number): Promise<boolean> {
    while (this.#leftover === undefined || this.#leftover.length === 0) {
      this.#leftover = await this.#unlessGivenUp(() => this.#source.next(maxBytes));
      if (this.#leftover === undefined) return false;
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
