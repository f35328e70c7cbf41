import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';

import { DirectListeners } from './direct-listeners.ts';

// From the global registry, so that streams of another copy of this package are known as well.
const method: unique symbol = Symbol.for('@coffer/read-into') as never;

/** A stream whose bytes can be read into memory of the reader's instead of being handed over in chunks. */
export interface DirectSource {
  /**
   * Reads what comes next, at most as much as `target` holds. Rejects with the stream's error once it is destroyed.
   * An empty `target` begins it: from then on the stream is read in this way.
   * @returns how many bytes; 0 at the end of the stream
   */
  [method](target: Uint8Array): Promise<number>;
}

/** The name of that method: see `DirectSource`. */
export const readInto: typeof method = method;

/** A stream is read in one way or in the other, from its beginning: one that somebody has begun to read is none any more. */
export function isDirectSource(stream: Readable): stream is Readable & DirectSource {
  return method in stream && isUntouched(stream);
}

/** Whether nobody has read of the stream, has asked for what comes first or for text, or listens for what it yields. */
export function isUntouched(stream: Readable): boolean {
  if (stream.readableFlowing !== null || stream.readableEncoding !== null) return false;
  return !stream.readableDidRead && stream.readableLength === 0 && !isBeingRead(stream);
}

/** Of what is on its way, as with `read(0)`, nothing else tells. Streams of graceful-fs ask for it as soon as they are open. */
function isBeingRead(stream: Readable): boolean {
  const { _readableState: state } = stream as { readonly _readableState?: { readonly reading?: boolean } };
  return state?.reading === true;
}

/** An open file, as far as its bytes go: a `FileHandle`, say. */
export interface OpenFile {
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

const chunkBytes = 256 * 1024;

/**
 * A body of bytes of an open file, which backends that know how read straight into their own buffers. The file stays the
 * caller's to close, and is not to change meanwhile: at `size` bytes the body ends, whatever follows.
 * @param options where it begins, default 0, and how long it is at most, default to the end of the file
 */
export function fileBody(file: OpenFile, options: { readonly start?: number; readonly size?: number } = {}): Readable & DirectSource {
  return new FileBody(file, options);
}

class FileBody extends Readable implements DirectSource {
  readonly #file: OpenFile;
  #position: number;
  #left: number;
  /** Once it is read in the other way. */
  #listeners: DirectListeners | undefined;

  constructor(file: OpenFile, { start = 0, size = Infinity }: { readonly start?: number; readonly size?: number }) {
    super({ highWaterMark: chunkBytes });
    this.#file = file;
    this.#position = start;
    this.#left = size;
  }

  override _read(): void {
    if (this.#listeners !== undefined) return this.#listeners.wanted();
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, this.#left));
    this.#take(chunk).then(
      (bytes) => this.push(bytes === 0 ? null : chunk.subarray(0, bytes)),
      (error: unknown) => this.destroy(error as Error),
    );
  }

  async [method](target: Uint8Array): Promise<number> {
    this.#assertOpen();
    this.#listeners ??= new DirectListeners(this);
    let bytes: number;
    try {
      bytes = target.byteLength === 0 ? 0 : await this.#take(target);
    } catch (error) {
      this.destroy(error as Error);
      throw error;
    }
    this.#assertOpen(); // it may have been destroyed meanwhile
    if (bytes > 0) {
      await this.#listeners.tell(target.subarray(0, bytes));
      this.#assertOpen();
    } else if (target.byteLength > 0) {
      this.#listeners.end();
    }
    return bytes;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#listeners?.wanted();
    callback(error);
  }

  async #take(target: Uint8Array): Promise<number> {
    const wanted = Math.min(target.byteLength, this.#left);
    if (wanted === 0) return 0;
    const { bytesRead } = await this.#file.read(target, 0, wanted, this.#position);
    this.#position += bytesRead;
    this.#left = bytesRead === 0 ? 0 : this.#left - bytesRead; // at its end, it may be closed before somebody looks again
    return bytesRead;
  }

  #assertOpen(): void {
    if (this.destroyed && !this.readableEnded) throw this.errored ?? new Error('The body was closed before its end.');
  }
}
