import { write, writeSync } from 'node:fs';

/** Characters; lines beyond this are dropped. */
const maxPending = 16 * 1024 * 1024;
const retryMs = 100;
const flushMs = 2_000;

/**
 * Writes log lines to an open file in the background. Whatever happens to them, the server keeps running and ends as it should: their
 * reader may be gone or stalled, and the disk may be full.
 */
export class LogDestination {
  readonly #fd: number;
  #pending = '';
  /** The bytes being written; undefined while there is nothing to write. */
  #writing: Buffer | undefined;
  #onWritten = (): void => {};

  constructor(fd: number) {
    this.#fd = fd;
    process.once('exit', () => this.#writeLast());
  }

  write(line: string): void {
    if (this.#pending.length + line.length > maxPending) return;
    this.#pending += line;
    if (this.#writing === undefined) this.#writeNext();
  }

  /** Calls back once everything has been written, or cannot be written for now. */
  flush(callback: () => void): void {
    if (this.#writing === undefined) return callback();
    const timer = setTimeout(() => this.#onWritten(), flushMs);
    this.#onWritten = () => {
      clearTimeout(timer);
      this.#onWritten = () => {};
      callback();
    };
  }

  #writeNext(): void {
    this.#writing = this.#pending === '' ? undefined : Buffer.from(this.#pending);
    this.#pending = '';
    if (this.#writing === undefined) this.#onWritten();
    else this.#writeBytes(this.#writing);
  }

  #writeBytes(bytes: Buffer): void {
    this.#writing = bytes;
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => this.#writeBytes(bytes), retryMs);
      // After any other error the next lines may fare better: a disk may have room again, and a closed pipe costs nothing.
      else if (error === null && written < bytes.length) this.#writeBytes(bytes.subarray(written));
      else this.#writeNext();
    });
  }

  /** Writes what is still waiting when the process exits abruptly, such as after an error. */
  #writeLast(): void {
    try {
      if (this.#pending !== '') writeSync(this.#fd, this.#pending);
    } catch {
      // There is nowhere left to report this.
    }
  }
}
