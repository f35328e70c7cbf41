import { write, writeSync } from 'node:fs';

/** Characters; what would wait beyond them is lost. */
const mostWaiting = 16 * 1024 * 1024;
const againMs = 100;
const flushMs = 2_000;

/**
 * Writes log lines to an open file, in the background. Whatever becomes of them, the server goes on and ends as it should: whoever
 * reads them may be gone or stand still, and their disk may be full.
 */
export class LogDestination {
  readonly #fd: number;
  #waiting = '';
  /** Under way; undefined while there is nothing to write. */
  #writing: Buffer | undefined;
  #onWritten = (): void => {};

  constructor(fd: number) {
    this.#fd = fd;
    process.once('exit', () => this.#writeLast());
  }

  write(line: string): void {
    if (this.#waiting.length + line.length > mostWaiting) return;
    this.#waiting += line;
    if (this.#writing === undefined) this.#writeNext();
  }

  /** Calls back once all has been written, or cannot be for now. */
  flush(callback: () => void): void {
    if (this.#writing === undefined) return callback();
    const patience = setTimeout(() => this.#onWritten(), flushMs);
    this.#onWritten = () => {
      clearTimeout(patience);
      this.#onWritten = () => {};
      callback();
    };
  }

  #writeNext(): void {
    this.#writing = this.#waiting === '' ? undefined : Buffer.from(this.#waiting);
    this.#waiting = '';
    if (this.#writing === undefined) this.#onWritten();
    else this.#writeOn(this.#writing);
  }

  #writeOn(bytes: Buffer): void {
    this.#writing = bytes;
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => this.#writeOn(bytes), againMs);
      // After any other failure the next lines may fare better: a disk has room again, and a pipe that has ended costs nothing.
      else if (error === null && written < bytes.length) this.#writeOn(bytes.subarray(written));
      else this.#writeNext();
    });
  }

  /** What a process that ends at once, by an error say, has not yet begun to write. */
  #writeLast(): void {
    try {
      if (this.#waiting !== '') writeSync(this.#fd, this.#waiting);
    } catch {
      // There is nowhere left to tell.
    }
  }
}
