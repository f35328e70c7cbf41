import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';

import { DirectListeners } from './direct-listeners.ts';
import { prematureCloseError } from './errors.ts';

// From the global registry, so that streams of another copy of this package are recognised too.
const method: unique symbol = Symbol.for('@coffer/read-into') as never;

/** A stream whose bytes can be read into the reader's memory instead of being handed over in chunks. */
export interface DirectSource {
  /**
   * Reads the next bytes, at most as many as `target` holds. Rejects with the stream's error once it is destroyed. An empty `target` begins
   * the read: from then on the stream is read this way.
   * @returns how many bytes were read; 0 at the end of the stream
   */
  [method](target: Uint8Array): Promise<number>;
}

/** The name of that method: see `DirectSource`. */
export const readInto: typeof method = method;

/**
 * A stream is read in one way or the other from its beginning: once somebody has begun to read its chunks, it is no longer a direct source.
 */
export function isDirectSource(stream: Readable): stream is Readable & DirectSource {
  return method in stream && isUntouched(stream);
}

/** Whether nobody has read from the stream, asked for its first bytes or for text, or listens for what it yields. */
export function isUntouched(stream: Readable): boolean {
  if (stream.readableFlowing !== null || stream.readableEncoding !== null) return false;
  return !stream.readableDidRead && stream.readableLength === 0 && !isBeingRead(stream);
}

/** Detects a read in progress, as after `read(0)`, which nothing else reveals. Streams of graceful-fs start one as soon as they open. */
function isBeingRead(stream: Readable): boolean {
  const { _readableState: state } = stream as { readonly _readableState?: { readonly reading?: boolean } };
  return state?.reading === true;
}

/** An open file, as far as reading goes: a `FileHandle`, for example. */
export interface OpenFile {
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

const chunkBytes = 256 * 1024;

/**
 * A body of the bytes of an open file, which capable backends read straight into their own buffers. The caller still closes the file, which
 * must not change meanwhile. The body ends after `size` bytes, whatever follows.
 * @param options `start`: first byte, default 0; `size`: maximum length in bytes, default to the end of the file
 */
export function fileBody(file: OpenFile, options: { readonly start?: number; readonly size?: number } = {}): Readable & DirectSource {
  return new FileBody(file, options);
}

class FileBody extends Readable implements DirectSource {
  readonly #file: OpenFile;
  #position: number;
  #remaining: number;
  /** Set once it is read through `readInto`. */
  #listeners: DirectListeners | undefined;

  constructor(file: OpenFile, { start = 0, size = Infinity }: { readonly start?: number; readonly size?: number }) {
    super({ highWaterMark: chunkBytes });
    this.#file = file;
    this.#position = start;
    this.#remaining = size;
  }

  override _read(): void {
    if (this.#listeners !== undefined) return this.#listeners.onDrain();
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, this.#remaining));
    this.#readNext(chunk).then(
      (bytes) => this.push(bytes === 0 ? null : chunk.subarray(0, bytes)),
      (error: unknown) => this.destroy(error as Error),
    );
  }

  async [method](target: Uint8Array): Promise<number> {
    this.#assertOpen();
    this.#listeners ??= new DirectListeners(this);
    let bytes: number;
    try {
      bytes = target.byteLength === 0 ? 0 : await this.#readNext(target);
    } catch (error) {
      this.destroy(error as Error);
      throw error;
    }
    this.#assertOpen(); // it may have been destroyed meanwhile
    if (bytes > 0) {
      await this.#listeners.deliver(target.subarray(0, bytes));
    } else if (target.byteLength > 0) {
      this.#listeners.end();
    }
    return bytes;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#listeners?.onDrain();
    callback(error);
  }

  async #readNext(target: Uint8Array): Promise<number> {
    const length = Math.min(target.byteLength, this.#remaining);
    if (length === 0) return 0;
    const { bytesRead } = await this.#file.read(target, 0, length, this.#position);
    this.#position += bytesRead;
    this.#remaining = bytesRead === 0 ? 0 : this.#remaining - bytesRead; // at its end; the file may be closed before the next read
    return bytesRead;
  }

  #assertOpen(): void {
    if (this.destroyed && !this.readableEnded) throw this.errored ?? prematureCloseError();
  }
}
