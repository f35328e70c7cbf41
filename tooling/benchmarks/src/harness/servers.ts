import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { freePort } from '@coffer/fixtures';

import type { PeerAddress } from '../peers/announce.ts';
import type { Bench } from './bench.ts';
import { jwtSecret } from './token.ts';

const root = new URL('../../../../', import.meta.url);
const apiMain = fileURLToPath(new URL('apps/api/dist/main.js', root));
const followParent = fileURLToPath(new URL('tooling/bootstrap/follow-parent.cjs', root));

/** The flags with which `npm start` starts the API server (tooling/bootstrap/tasks.mjs). */
export const nodeFlags: readonly string[] = ['--min-semi-space-size=8', '--max-semi-space-size=8', '--heap-growing-percent=80'];
// From the same place; set for the peers, too.
const ownEnvironment = { UV_THREADPOOL_SIZE: '16', MALLOC_ARENA_MAX: '2' };

/** A server in a process of its own, so that its CPU time and memory can be measured alone. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Does nothing when it has already ended. @param patience milliseconds after which it is killed; default 10,000 */
  stop(patience?: number): Promise<void>;
}

/** Starts one of the bare servers in `src/peers`. */
export async function startPeer(bench: Bench, name: string, args: readonly string[]): Promise<ServerProcess> {
  const child = fork(new URL(`../peers/${name}.ts`, import.meta.url), args, { env: { ...process.env, ...ownEnvironment }, execArgv: [] });
  const server = { pid: child.pid!, stop: (patience?: number) => stopChild(child, patience) };
  bench.resources.defer(server.stop);
  const [{ port }] = (await Promise.race([once(child, 'message'), failure(child, name)])) as [PeerAddress];
  return { ...server, url: `http://127.0.0.1:${port}` };
}

export interface ApiOptions {
  readonly databaseUrl: string;
  readonly dataDirectory: string;
  /** Added to, or overriding, the variables that the benchmarks set. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts the built API server as `npm start` does, with a running database, and waits until it is ready. */
export async function startApi(bench: Bench, options: ApiOptions): Promise<ServerProcess & { readonly readyAfterMs: number }> {
  if (!existsSync(apiMain)) throw new Error('apps/api is not built: run `npx turbo run build --filter=@coffer/api...`.');
  const port = await freePort();
  const profile = bench.profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${bench.profileDirectory}`];
  const started = performance.now();
  const child = fork(apiMain, [], {
    execArgv: ['--require', followParent, ...bench.nodeFlags, ...profile],
    env: { ...process.env, ...ownEnvironment, ...apiEnvironment(options, port) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const stop = (patience?: number): Promise<void> => stopChild(child, patience);
  bench.resources.defer(stop);
  const url = `http://127.0.0.1:${port}`;
  await Promise.race([untilReady(url), failure(child, 'the API server')]);
  return { url, pid: child.pid!, stop, readyAfterMs: performance.now() - started };
}

function apiEnvironment({ databaseUrl, dataDirectory, environment }: ApiOptions, port: number): Readonly<Record<string, string>> {
  return {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    PUBLIC_URL: '',
    COFFER_DATA_DIR: dataDirectory,
    DATABASE_URL: databaseUrl,
    AUTH_JWT_SECRET: jwtSecret,
    STORAGE_ENABLE_MULTI_TENANCY: 'true',
    LOG_LEVEL: 'warn',
    ...environment,
  };
}

/** Resolves with the first 200 from `/health/ready`. @throws Error after `timeoutMs` */
export async function untilReady(url: string, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const status = await fetch(`${url}/health/ready`).then(
      async (response) => (await response.arrayBuffer(), response.status),
      () => 0,
    );
    if (status === 200) return;
    await delay(5);
  }
  throw new Error(`${url} was not ready within ${timeoutMs / 1000} s.`);
}

async function failure(child: ChildProcess, name: string): Promise<never> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  throw new Error(`${name} ended before it was ready (${signal ?? `exit status ${code}`}).`);
}

async function stopChild(child: ChildProcess, patience = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), patience);
  await ended;
  clearTimeout(kill);
}
