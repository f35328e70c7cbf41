import { ReadStream } from 'node:fs';
import type { Readable } from 'node:stream';

import { DirectListeners } from './direct-listeners.ts';
import { prematureCloseError } from './errors.ts';
import { isUntouched, readInto } from './file-body.ts';
import type { DirectSource } from './file-body.ts';

/** What a node:fs stream reads with: node:fs, an open FileHandle, or the caller's `fs`. */
interface FileSystem {
  read(
    file: number,
    target: Uint8Array,
    offset: number,
    length: number,
    position: number | undefined,
    done: (error: Error | null | undefined, bytes: number, filled?: Uint8Array) => void,
  ): void;
}

/** What such a stream has at run time beyond the documentation. */
type FileStream = ReadStream & { readonly fd: number | null; readonly end: number; pos: number | undefined };

/**
 * Turns a file stream of `createReadStream` into a direct source. Read chunk by chunk, such a stream allocates memory for everything it
 * reads and takes four times the CPU. Where a runtime implements these streams differently, they are left as they are.
 */
export function withDirectReads(stream: Readable): Readable {
  if (!(stream instanceof ReadStream) || !isUntouched(stream)) return stream;
  // A stream that yields something other than what it reads must be read itself.
  if (stream._read !== ReadStream.prototype._read || stream.push !== ReadStream.prototype.push) return stream;
  const fsSymbol = Object.getOwnPropertySymbols(stream).find(({ description }) => description === 'kFs');
  if (fsSymbol === undefined || !('pos' in stream && 'end' in stream && 'fd' in stream)) return stream;
  const fileSystem = (stream as unknown as Record<symbol, FileSystem>)[fsSymbol]!;
  const reading = new Reading(stream as unknown as FileStream, fileSystem);
  const read: DirectSource[typeof readInto] = (target) => reading.into(target);
  return Object.assign(stream, { [readInto]: read });
}

/** Does what the stream's own `_read` does, but into the reader's memory. Listeners of the stream get the same bytes. */
class Reading {
  readonly #stream: FileStream;
  readonly #fileSystem: FileSystem;
  readonly #listeners: DirectListeners;
  #isBegun = false;
  #isReading = false;
  /** The end was reported. The descriptor is closed, or about to be. */
  #isOver = false;
  #onReadDone: (() => void) | undefined;

  constructor(stream: FileStream, fileSystem: FileSystem) {
    this.#stream = stream;
    this.#fileSystem = fileSystem;
    this.#listeners = new DirectListeners(stream);
  }

  async into(target: Uint8Array): Promise<number> {
    this.#begin();
    this.#assertOpen();
    if (target.byteLength === 0 || this.#isOver) return 0;
    const stream = this.#stream;
    await this.#waitUntilOpen();
    const { pos, end, bytesRead } = stream;
    const remaining = end - (pos ?? bytesRead) + 1;
    const bytes = remaining <= 0 ? 0 : await this.#read(target, Math.min(target.byteLength, remaining));
    this.#assertOpen(); // it may have been destroyed meanwhile
    if (bytes > 0) {
      await this.#listeners.deliver(target.subarray(0, bytes));
    } else {
      this.#isOver = true;
      this.#listeners.end();
    }
    return bytes;
  }

  #begin(): void {
    if (this.#isBegun) return;
    this.#isBegun = true;
    const stream = this.#stream;
    const requestMore = (): void => this.#listeners.onDrain();
    const destroy = stream._destroy.bind(stream);
    const destroyAfterRead: typeof destroy = (error, callback) => {
      requestMore();
      // A descriptor that is closed during a read may by then belong to another file.
      if (this.#isReading) this.#onReadDone = () => destroy(error, callback);
      else destroy(error, callback);
    };
    stream._read = requestMore;
    stream._destroy = destroyAfterRead;
  }

  async #waitUntilOpen(): Promise<void> {
    const stream = this.#stream;
    if (!stream.pending) return;
    await new Promise<void>((resolve) => {
      for (const event of ['open', 'error', 'close']) stream.once(event, () => resolve());
    });
    this.#assertOpen();
  }

  #read(target: Uint8Array, length: number): Promise<number> {
    const stream = this.#stream;
    this.#isReading = true;
    return new Promise<number>((resolve, reject) => {
      this.#fileSystem.read(stream.fd!, target, 0, length, stream.pos, (error, bytes, filled = target) => {
        this.#isReading = false;
        this.#onReadDone?.();
        if (error) {
          stream.destroy(error);
          reject(error);
          return;
        }
        if (filled !== target) target.set(filled.subarray(0, bytes));
        if (stream.pos !== undefined) stream.pos += bytes;
        stream.bytesRead += bytes;
        resolve(bytes);
      });
    });
  }

  #assertOpen(): void {
    const { destroyed, readableEnded, errored } = this.#stream;
    if (destroyed && !readableEnded) throw errored ?? prematureCloseError();
  }
}
