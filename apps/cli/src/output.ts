import { printable, printableJson } from './render/printable.ts';
import { exitCodeOf, problemOf } from './problem.ts';
import type { Problem } from './problem.ts';

const flushAt = 32 * 1024;
/** How long readers of the output have once the process is asked to end. */
const graceMs = 1000;

/**
 * Where a command writes to: results on stdout, everything else on stderr. The reader of stdout may go away at any time, as `head`
 * does; what is written after that is dropped.
 */
export class Output {
  /** One JSON document instead of lines. */
  readonly json: boolean;
  #pending = '';
  #scheduled = false;
  #isClosed = false;
  #failure: Error | undefined;
  /** An error of stdout that the caller of `bytes` reports. */
  #reportedError: Error | undefined;
  #ready: Promise<void> | undefined;
  #isStatusShown = false;
  /** Whether the last of the bytes on a terminal ended no line. */
  #isMidLine = false;
  readonly #signal: AbortSignal;

  /** @param options.signal aborted when the process is asked to end */
  constructor(options: { readonly json: boolean; readonly signal: AbortSignal }) {
    this.json = options.json;
    this.#signal = options.signal;
    process.stdout.removeAllListeners('error'); // oclif's listener throws
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.#failure = error;
      this.#isClosed = true;
    });
    process.stderr.on('error', () => {}); // there is nowhere left to report it
  }

  /** Whether nobody reads stdout any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Writes text to stdout unchanged; it goes out a little later, together with what follows. */
  write(text: string): void {
    if (this.#isClosed) return;
    this.#pending += text;
    if (this.#pending.length >= flushAt) this.#flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#flush();
      });
    }
  }

  /**
   * Writes bytes to stdout at once. Resolves when it can take more: true, or false if nobody reads any more.
   * @throws the error of stdout; why the process is asked to end, after which a reader that does not read is no longer waited for
   */
  async bytes(chunk: Uint8Array): Promise<boolean> {
    const signal = this.#signal;
    signal.throwIfAborted();
    this.#flush();
    if (this.#isClosed) return false;
    this.#isMidLine = process.stdout.isTTY && chunk.at(-1) !== 0x0a;
    await new Promise<void>((resolve, reject) => {
      const giveUp = (): void => {
        this.#isClosed = true;
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      process.stdout.write(chunk, (error?: NodeJS.ErrnoException | null) => {
        signal.removeEventListener('abort', giveUp);
        if (!error) return resolve();
        this.#isClosed = true;
        if (error.code === 'EPIPE') return resolve();
        this.#reportedError = error;
        reject(error);
      });
    });
    return !this.#isClosed;
  }

  /** A line for people; nothing with `--json`. */
  line(text: string): void {
    if (!this.json) this.write(`${text}\n`);
  }

  /** The whole document of a command whose result is small; nothing without `--json`. */
  document(value: unknown): void {
    if (this.json) this.write(`${printableJson(value, 2)}\n`);
  }

  /** Resolves when stdout can take more, so that a slow reader does not fill the memory, or when the process is asked to end. */
  async ready(): Promise<void> {
    const { stdout } = process;
    const signal = this.#signal;
    if (!stdout.writableNeedDrain || this.#isClosed || signal.aborted) return;
    this.#ready ??= new Promise<void>((resolve) => {
      const done = (): void => {
        for (const event of ['drain', 'close', 'error']) stdout.off(event, done);
        signal.removeEventListener('abort', done);
        this.#ready = undefined;
        resolve();
      };
      for (const event of ['drain', 'close', 'error']) stdout.on(event, done);
      signal.addEventListener('abort', done);
    });
    await this.#ready;
  }

  /** A line on stderr that is neither a result nor an error. */
  note(text: string): void {
    this.#toStderr(`${printable(text)}\n`);
  }

  /** An error that ends the command: a line on stderr (for a configuration error, one line per mistake). */
  error(error: unknown): void {
    const { code, message } = problemOf(error);
    this.#flush(); // what has been done comes first
    this.#toStderr(`${code}: ${message.split('\n').map(printable).join('\n')}\n`);
  }

  /** One object or file that failed, while the others go on. */
  failure(name: string, { code, message }: Problem): void {
    this.#toStderr(`${code}: ${printable(name)}: ${printable(message)}\n`);
  }

  /** Whether stderr is a terminal that can show a status and erase it again. */
  get hasStatus(): boolean {
    // oxlint-disable-next-line node/no-process-env -- describes the terminal, and configures nothing
    return process.stderr.isTTY && process.env['TERM'] !== 'dumb';
  }

  /** Shows a line on a terminal that stays below everything else and is redrawn in place; undefined erases it. */
  status(text: string | undefined): void {
    if (text === undefined) return this.#eraseStatus();
    const columns = process.stderr.columns || 80; // 0 where the width is unknown: serial lines, some containers
    process.stderr.write(`\r${text.slice(0, columns - 1)}\x1b[K`);
    this.#isStatusShown = true;
  }

  #flush(): void {
    if (this.#pending === '' || this.#isClosed) return;
    if (process.stdout.isTTY) this.#eraseStatus();
    process.stdout.write(this.#pending);
    this.#pending = '';
  }

  /** The next `status` shows it again. */
  #eraseStatus(): void {
    if (this.#isStatusShown) process.stderr.write('\r\x1b[K');
    this.#isStatusShown = false;
  }

  #toStderr(text: string): void {
    this.#eraseStatus();
    process.stderr.write(this.#isMidLine && process.stderr.isTTY ? `\n${text}` : text);
    this.#isMidLine = false;
  }

  /**
   * Resolves when everything has left this process or cannot leave it; then it reports why, and the exit status is not 0. Once the
   * process is asked to end, readers have one more second.
   */
  async end(): Promise<void> {
    this.#flush();
    if (!this.#isClosed) await this.#written(process.stdout);
    if (this.#failure !== undefined && this.#failure !== this.#reportedError) {
      this.failure('stdout', problemOf(this.#failure));
      process.exitCode ||= 1;
    }
    await this.#written(process.stderr);
  }

  async #written(stream: NodeJS.WriteStream): Promise<void> {
    const signal = this.#signal;
    const isWritten = await new Promise<boolean>((resolve) => {
      const giveUp = (): void => void setTimeout(resolve, graceMs, false);
      stream.write('', () => resolve(true));
      if (signal.aborted) giveUp();
      else signal.addEventListener('abort', giveUp, { once: true });
    });
    if (!isWritten) process.exitCode ||= exitCodeOf(signal.reason);
  }
}
