import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { freePort } from '@coffer/fixtures';

import type { Bench } from './bench.ts';
import { untilReady } from './servers.ts';

export interface NpmStart {
  readonly checkout: string;
  readonly dataDirectory: string;
  readonly timeoutMs: number;
}

/**
 * Runs `npm start` until it is ready, then stops it as Ctrl-C does.
 * @returns milliseconds to the first 200 from `/health/ready`
 */
export async function npmStart(bench: Bench, { checkout, dataDirectory, timeoutMs }: NpmStart): Promise<number> {
  const port = await freePort();
  const started = performance.now();
  const child = spawn('npm', ['start'], {
    cwd: checkout,
    env: { ...withoutSettings(process.env), PORT: String(port), COFFER_DATA_DIR: dataDirectory, LOG_LEVEL: 'warn' },
    detached: true, // a process group of its own, as in a terminal
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  const ended = once(child, 'exit');
  bench.resources.defer(() => endGroup(child.pid!));
  const failed = ended.then(() => {
    throw new Error(`npm start ended:\n${output.slice(-2000)}`);
  });
  failed.catch(() => {});
  const url = `http://127.0.0.1:${port}`;
  await Promise.race([untilReady(url, timeoutMs), failed]);
  const readyAfterMs = performance.now() - started;
  await endGroup(child.pid!);
  for (let waited = 0; (await answers(url)) && waited < 15_000; waited += 100) await delay(100);
  if (await answers(url)) throw new Error('The server went on after npm start was stopped.');
  return readyAfterMs;
}

/** Removes variables that would make `npm start` differ from a newcomer's. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(STORAGE_|AUTH_|COFFER_|npm_)|^(DATABASE_URL|HOST|PUBLIC_URL|METRICS_PORT)$/.test(name)),
  );
}

async function endGroup(leader: number): Promise<void> {
  if (!signalGroup(leader, 'SIGINT')) return;
  for (let waited = 0; waited < 20_000; waited += 20) {
    if (!signalGroup(leader, 0)) return;
    await delay(20);
  }
  signalGroup(leader, 'SIGKILL');
}

/** @returns false when the group has no processes left */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}

function answers(url: string): Promise<boolean> {
  return fetch(`${url}/health/live`).then(
    async (response) => (await response.arrayBuffer(), true),
    () => false,
  );
}
