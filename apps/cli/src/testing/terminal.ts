import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import type { Env } from './cli.ts';

/** Whether this machine has util-linux's `script`, which runs a program in a terminal of its own. */
export const hasTerminal = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;

/** Runs a program in a terminal, as a person does; `type` presses keys. */
export class Terminal {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #written = '';

  constructor(command: readonly string[], options: { readonly cwd: string; readonly env: Env; readonly columns?: number }) {
    const { cwd, env, columns = 100 } = options;
    const line = `stty cols ${columns} rows 30; exec ${command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')}`;
    this.#child = spawn('script', ['--quiet', '--return', '--flush', '--command', line, '/dev/null'], {
      cwd,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TERM: 'xterm-256color', SHELL: '/bin/sh', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#written += text));
    this.#ended = once(this.#child, 'close').then(([code]) => code as number);
  }

  /** Everything that was written, including escape sequences. */
  get written(): string {
    return this.#written;
  }

  /** The text that the terminal shows in the end. */
  get screen(): string {
    return screenOf(this.#written);
  }

  /** Ctrl-C is `\x03`. */
  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Waits for a text. @throws Error when the program ends without it */
  async until(text: string | RegExp): Promise<void> {
    const isThere = (): boolean => (typeof text === 'string' ? this.#written.includes(text) : text.test(this.#written));
    while (!isThere()) {
      if (this.#child.exitCode !== null) throw new Error(`It ended without ${String(text)}:\n${this.screen}`);
      await Promise.race([once(this.#child.stdout!, 'data'), this.#ended]);
    }
  }

  /** @returns the exit status */
  async end(): Promise<number> {
    return this.#ended;
  }
}

const escape = '\u001b[';
// oxlint-disable-next-line no-control-regex -- sequences that move the cursor begin with one
const pieces = /\u001b\[[?0-9;]*[A-Za-z]|[^]/gu;

/** What a terminal shows of a text: carriage returns go back to the start of the line, and erasing sequences erase. */
export function screenOf(text: string): string {
  const lines: string[] = [''];
  let column = 0;
  for (const [piece] of text.matchAll(pieces)) {
    const last = lines.length - 1;
    const line = lines[last] ?? '';
    const name = piece.length > 1 && piece.startsWith(escape) ? piece.at(-1) : undefined;
    const parameter = name === undefined ? '' : piece.slice(escape.length, -1);
    if (name === 'K') lines[last] = parameter === '2' ? '' : line.slice(0, column);
    else if (name === 'G') column = Number(parameter || 1) - 1;
    else if (name !== undefined) continue;
    else if (piece === '\r') column = 0;
    else if (piece === '\n') {
      lines.push('');
      column = 0;
    } else {
      lines[last] = line.slice(0, column).padEnd(column) + piece + line.slice(column + 1);
      column += 1;
    }
  }
  return lines.map((line) => line.trimEnd()).join('\n');
}
