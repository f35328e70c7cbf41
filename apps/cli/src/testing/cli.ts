import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { startOnce, testRun } from '@coffer/fixtures';

const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

export type Env = Readonly<Record<string, string>>;

export interface Ended {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout parsed as JSON; throws unless it is one document. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests inspect documents of every shape
  readonly json: any;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Env;
  /** The descriptor of an open file, instead of a pipe. */
  readonly stdout?: number;
  /** What stdin delivers through a pipe, or the descriptor of an open file; default: nothing. */
  readonly stdin?: string | Readable | number;
}

/** The CLI as it is built, run as a process. */
export class Cli {
  readonly root: string;
  readonly bin: string;

  /** The home folder of the processes, inside the build folder. */
  readonly #home: string;

  private constructor(root: string) {
    this.root = root;
    this.#home = join(root, 'home');
    this.bin = join(root, 'bin/coffer.js');
  }

  /** Builds into a folder other than `dist`, once per test run, which removes it. */
  static async build(): Promise<Cli> {
    return new Cli(await startOnce(await testRun(), 'coffer-cli', make));
  }

  /** The environment is PATH, HOME and what is given. */
  start(args: readonly string[], options: RunOptions): RunningCli {
    return new RunningCli(this.bin, args, { ...options, env: { HOME: this.#home, ...options.env } });
  }

  async run(args: readonly string[], options: RunOptions): Promise<Ended> {
    return this.start(args, options).ended;
  }
}

async function make(root: string): Promise<string> {
  await promisify(execFile)(process.execPath, ['build.mjs', root], { cwd: packageRoot });
  await symlink(join(packageRoot, 'node_modules'), join(root, 'node_modules')); // where oclif finds its plugins
  await mkdir(join(root, 'home'));
  return root;
}

export class RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;

  constructor(bin: string, args: readonly string[], { cwd, env, stdout: target, stdin }: RunOptions) {
    this.child = spawn(process.execPath, [bin, ...args], {
      cwd,
      env: { PATH: process.env['PATH'], ...env },
      stdio: [stdin === undefined ? 'ignore' : typeof stdin === 'number' ? stdin : 'pipe', target ?? 'pipe', 'pipe'],
    });
    const input = this.child.stdin?.on('error', () => {}); // a process that does not read it may end before it is written
    if (input && stdin !== undefined && typeof stdin !== 'number') (typeof stdin === 'string' ? Readable.from([stdin]) : stdin).pipe(input);
    let stdout = '';
    let stderr = '';
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    this.ended = once(this.child, 'close').then(([code, signal]) => ({
      code: (code as number | null) ?? (signal as NodeJS.Signals),
      stdout,
      stderr,
      get json() {
        return JSON.parse(stdout) as unknown;
      },
    }));
  }
}
