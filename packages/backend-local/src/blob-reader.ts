import { close, read } from 'node:fs';
import { Readable } from 'node:stream';

import { storageError } from '@coffer/storage-core';

import { toStorageError } from './errors.ts';

// Measured over HTTP: smaller chunks cost more calls, larger ones no longer fit the CPU cache.
const chunkSize = 256 * 1024;

/** Which bytes are read. */
export interface BlobPart {
  readonly start: number;
  readonly length: number;
}

/** Streams a part of an open file, then closes the file. Fails when the file is shorter than the index says. */
export class BlobReader extends Readable {
  readonly #file: number;
  #position: number;
  #left: number;
  #reading = false;
  #closeWhenRead: (() => void) | undefined;

  constructor(file: number, { start, length }: BlobPart) {
    super({ highWaterMark: chunkSize });
    this.#file = file;
    this.#position = start;
    this.#left = length;
  }

  override _read(): void {
    if (this.#left === 0) {
      this.push(null);
      return;
    }
    const chunk = Buffer.allocUnsafe(Math.min(this.#left, chunkSize));
    this.#reading = true;
    read(this.#file, chunk, 0, chunk.length, this.#position, (error, count) => {
      this.#reading = false;
      if (this.#closeWhenRead !== undefined) {
        this.#closeWhenRead(); // never close a descriptor during a read: its number may be reused for another file
      } else if (error !== null) {
        this.destroy(toStorageError(error));
      } else if (count === 0) {
        this.destroy(storageError('internal_error', 'The bytes of the object are cut short on disk.'));
      } else {
        this.#position += count;
        this.#left -= count;
        this.push(count === chunk.length ? chunk : chunk.subarray(0, count));
        if (this.#left === 0) this.push(null);
      }
    });
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const finish = (): void => close(this.#file, () => callback(error));
    if (this.#reading) this.#closeWhenRead = finish;
    else finish();
  }
}
