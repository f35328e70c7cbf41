import type { Readable } from 'node:stream';

/** Reads a stream in the amounts that its reader wants. Rejects with the stream's own error. */
export class ChunkReader {
  readonly #iterator: AsyncIterator<Buffer>;
  #left: Buffer | undefined;
  #size = 0;
  #failure: Error | undefined;
  #fail: ((reason: Error) => void) | undefined;

  constructor(stream: Readable) {
    this.#iterator = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
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
    while (this.#left === undefined || this.#left.length === 0) {
      const { done, value } = await this.#next();
      if (done === true) return false;
      this.#left = value;
    }
    return true;
  }

  #next(): Promise<IteratorResult<Buffer>> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#fail = reject;
      this.#iterator.next().then(resolve, reject);
    });
  }

  #giveUp(reason: Error): void {
    this.#failure = reason;
    this.#fail?.(reason);
  }

  /** Chunks as they come, until they are `atLeast` so many bytes or the stream ends. */
  async chunks(atLeast: number): Promise<Buffer[]> {
    const chunks: Buffer[] = [];
    for (let size = 0; size < atLeast && (await this.more());) {
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
    while (end < target.length && (await this.more())) {
      const chunk = this.#left!;
      const copied = chunk.copy(target, end);
      this.#left = copied < chunk.length ? chunk.subarray(copied) : undefined;
      end += copied;
    }
    this.#size += end - start;
    return end;
  }
}
