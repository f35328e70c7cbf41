import { printable, printableJson } from './render/printable.ts';
import { exitCodeOf, problemOf } from './problem.ts';
import type { Problem } from './problem.ts';

const flushAt = 32 * 1024;
/** Once the process is asked to end, whoever reads what it has written has so long. */
const graceMs = 1000;

/**
 * Where a command writes to: results on stdout, everything else on stderr. Whoever reads stdout may go away at any time,
 * as `head` does: what is written after that is dropped.
 */
export class Output {
  /** One JSON document instead of lines. */
  readonly json: boolean;
  #pending = '';
  #scheduled = false;
  #isClosed = false;
  #failure: Error | undefined;
  /** Of stdout, that somebody else tells of. */
  #toldOf: Error | undefined;
  #ready: Promise<void> | undefined;
  #isStatusShown = false;
  readonly #signal: AbortSignal;

  /** @param options.signal aborted when the process is asked to end */
  constructor(options: { readonly json: boolean; readonly signal: AbortSignal }) {
    this.json = options.json;
    this.#signal = options.signal;
    process.stdout.removeAllListeners('error'); // oclif's throws
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.#failure = error;
      this.#isClosed = true;
    });
    process.stderr.on('error', () => {}); // nobody to tell
  }

  /** Whether nobody reads stdout any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Text of stdout as it is; it goes out a little later, together with what follows. */
  write(text: string): void {
    if (this.#isClosed) return;
    this.#pending += text;
    if (this.#pending.length >= flushAt) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
  }

  /**
   * Bytes of stdout, at once. Resolves when it takes more, with whether anybody still reads.
   * @throws what is wrong with stdout; the reason of `signal`, whoever does not read then being left alone
   */
  async bytes(chunk: Uint8Array, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    this.flush();
    if (this.#isClosed) return false;
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
        this.#toldOf = error;
        reject(error);
      });
    });
    return !this.#isClosed;
  }

  /** A line for people; nothing with `--json`. */
  line(text: string): void {
    if (!this.json) this.write(`${text}\n`);
  }

  /** The whole document of a command whose result is small. */
  document(value: unknown): void {
    if (this.json) this.write(`${printableJson(value, 2)}\n`);
  }

  /** Resolves when stdout takes more, since a slow reader must not fill the memory, or when the process is asked to end. */
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

  /** A line on stderr that is no result and no error. */
  note(text: string): void {
    this.#toStderr(`${printable(text)}\n`);
  }

  /** An error that ends the command: a line on stderr (of a configuration one line for each mistake). */
  error(error: unknown): void {
    const { code, message } = problemOf(error);
    this.#toStderr(`${code}: ${message.split('\n').map(printable).join('\n')}\n`);
  }

  /** One object or file that failed, while the others go on. */
  failure(name: string, { code, message }: Problem): void {
    this.#toStderr(`${code}: ${printable(name)}: ${printable(message)}\n`);
  }

  /** Whether there is a terminal that can show a status, and take it away again. */
  get hasStatus(): boolean {
    // oxlint-disable-next-line node/no-process-env -- tells of the terminal, and configures nothing
    return process.stderr.isTTY && process.env['TERM'] !== 'dumb';
  }

  /** A line on a terminal that stays below everything else and is drawn over; undefined takes it away. */
  status(text: string | undefined): void {
    if (text === undefined) return this.#eraseStatus();
    const columns = process.stderr.columns || 80; // 0 where nobody has told: serial lines, some containers
    process.stderr.write(`\r${text.slice(0, columns - 1)}\x1b[K`);
    this.#isStatusShown = true;
  }

  flush(): void {
    if (this.#pending === '' || this.#isClosed) return;
    if (process.stdout.isTTY) this.#eraseStatus();
    process.stdout.write(this.#pending);
    this.#pending = '';
  }

  /** The next drawing brings it back. */
  #eraseStatus(): void {
    if (this.#isStatusShown) process.stderr.write('\r\x1b[K');
    this.#isStatusShown = false;
  }

  #toStderr(text: string): void {
    this.#eraseStatus();
    process.stderr.write(text);
  }

  /**
   * Resolves when everything is out of this process, or cannot be: then it says so, and the exit status is not 0. Nobody's reading is
   * waited for once the process is asked to end.
   */
  async end(): Promise<void> {
    this.flush();
    if (!this.#isClosed) await this.#written(process.stdout);
    if (this.#failure !== undefined && this.#failure !== this.#toldOf) {
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
