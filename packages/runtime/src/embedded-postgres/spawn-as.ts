import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';

import { cannotRun } from './binaries.ts';
import type { Identity } from './identity.ts';

// Only what PostgreSQL's programs need: PG variables from the user's shell would change their behaviour.
const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' });

export function spawnAs(
  { prefix, owner }: Identity,
  argv: readonly [string, ...string[]],
  options: { readonly stdio: StdioOptions; readonly detached?: boolean },
): ChildProcess {
  const [file = '', ...args] = [...prefix, ...argv];
  return spawn(file, args, {
    ...options,
    env: environment(),
    cwd: '/',
    ...(prefix.length === 0 && owner),
  });
}

/** Runs a program to its end. @throws Error with its output when it fails */
export async function runAs(identity: Identity, argv: readonly [string, ...string[]], input = ''): Promise<void> {
  const child = spawnAs(identity, argv, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  child.stdin?.on('error', () => {}); // it ended early: its exit says so
  child.stdin?.end(input);
  await new Promise<void>((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => reject(cause.code === 'ENOENT' ? cannotRun(argv[0], cause) : cause));
    child.once('close', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${argv[0]} ended with ${signal ?? code}.\n${output.trim()}`)),
    );
  });
}
