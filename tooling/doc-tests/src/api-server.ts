import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { pathOf } from './documents.ts';

const main = pathOf('apps/api/dist/main.js');
const startMs = 30_000;

/** The built API server, in a process of its own. */
export class ApiServer {
  readonly #process: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
  }

  /** Starts it in the folder `cwd`, and waits until it reports that it listens. */
  static async start(cwd: string, env: Readonly<Record<string, string>>): Promise<ApiServer> {
    const child = fork(main, ['--welcome'], {
      cwd,
      env: { PATH: process.env['PATH'] ?? '', LOG_LEVEL: 'info', UV_THREADPOOL_SIZE: '16', ...env },
      // The condition lets a backend in a document import the packages from source, as the documents do.
      execArgv: ['--enable-source-maps', '--conditions=@coffer/source', '--require', pathOf('tooling/bootstrap/follow-parent.cjs')],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const server = new ApiServer(child);
    const hasKey = Object.keys(env).some((name) => name.startsWith('AUTH_JW'));
    const deadline = performance.now() + startMs;
    while (!server.#output.includes(hasKey ? '"msg":"listening"' : 'Ctrl-C stops everything')) {
      if (child.exitCode !== null || performance.now() > deadline) {
        await server.stop();
        throw new Error(`The server did not start:\n${server.#output}`);
      }
      await delay(10);
    }
    return server;
  }

  /** The variables that it prints for a shell: `export NAME=value`. */
  get exports(): Readonly<Record<string, string>> {
    return Object.fromEntries(Array.from(this.#output.matchAll(/^\s*export (\w+)=(\S+)$/gm), ([, name = '', value = '']) => [name, value]));
  }

  /** Stops it with SIGTERM, and kills it after 15 seconds. @returns its exit status */
  async stop(): Promise<number | null> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const ended = once(child, 'exit') as Promise<[number | null]>;
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), 15_000);
    const [code] = await ended;
    clearTimeout(kill);
    return code;
  }
}
