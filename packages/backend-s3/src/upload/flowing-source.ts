import type { Readable } from 'node:stream';

import { hasOwnedChunks, releaseChunk } from '@coffer/storage-core';

import type { ChunkSource } from './chunk-source.ts';

/**
 * Copies the chunks of a stream to where they are wanted as they arrive. The stream's iterator would join buffered chunks in memory of its
 * own, and create promises for each of them.
 */
export class FlowingSource implements ChunkSource {
  readonly #stream: Readable;
  readonly #ownsChunks: boolean;
  /** Chunks that arrived when nobody wanted them, or that exceeded what was wanted. */
  readonly #kept: Buffer[] = [];
  #target: Buffer | undefined;
  #end = 0;
  #isOver = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    this.#ownsChunks = hasOwnedChunks(stream);
    if (stream.readableEnded) this.#isOver = true;
    else if (stream.destroyed) this.#failure = failureOf(stream);
    stream.pause(); // otherwise the first listener would let it flow
    stream.on('data', this.#take);
    stream.once('end', () => {
      this.#isOver = true;
      this.#wake?.();
    });
    stream.once('error', (error: Error) => this.#fail(error));
    stream.once('close', () => {
      if (!this.#isOver) this.#fail(failureOf(stream));
    });
  }

  async next(): Promise<Buffer | undefined> {
    while (this.#kept.length === 0 && (await this.#hasMore()));
    return this.#kept.shift();
  }

  async fill(target: Buffer): Promise<number> {
    this.#target = target;
    this.#end = 0;
    try {
      for (let next = this.#kept.shift(); next !== undefined; next = this.#end < target.length ? this.#kept.shift() : undefined) {
        const rest = this.#copy(next, target);
        if (rest !== undefined) this.#kept.unshift(rest);
      }
      while (this.#end < target.length && (await this.#hasMore()));
      return this.#end;
    } finally {
      this.#target = undefined;
    }
  }

  /** Waits until there may be something new. @returns false at the end */
  async #hasMore(): Promise<boolean> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isOver) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#stream.resume();
    });
    return true;
  }

  readonly #take = (chunk: Buffer): void => {
    const target = this.#target;
    if (target !== undefined) {
      const rest = this.#copy(chunk, target);
      if (this.#end < target.length) return;
      if (rest !== undefined) this.#kept.push(rest);
    } else {
      this.#kept.push(chunk);
    }
    this.#stream.pause();
    this.#wake?.();
  };

  /** @returns the rest of the chunk if it did not fit */
  #copy(chunk: Buffer, target: Buffer): Buffer | undefined {
    const room = target.length - this.#end;
    if (chunk.length > room) {
      target.set(chunk.subarray(0, room), this.#end);
      this.#end += room;
      return chunk.subarray(room);
    }
    target.set(chunk, this.#end);
    this.#end += chunk.length;
    if (this.#ownsChunks) releaseChunk(chunk);
    return undefined;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }
}

function failureOf(stream: Readable): Error {
  return stream.errored ?? Object.assign(new Error('The stream was closed before its end.'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
}
