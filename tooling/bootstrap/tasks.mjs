import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BootstrapError, print } from './messages.mjs';
import { requiredSuites } from './required-suites.mjs';
import { summarize, summaryLine } from './summary.mjs';

/**
 * @typedef {object} Prepared
 * @property {import('./repository.mjs').Repository} repo
 * @property {import('./toolchain.mjs').Toolchain} toolchain
 * @property {import('./supervisor.mjs').Supervisor} supervisor
 * @property {readonly string[]} args
 *
 * @typedef {(prepared: Prepared) => Promise<number>} Task resolves with the exit status
 */

// Explained in docs/operations.md, and measured by tooling/benchmarks.
const serverFlags = ['--min-semi-space-size=8', '--max-semi-space-size=8', '--heap-growing-percent=80'];
const serverEnvironment = {
  // The local backend's file system calls and hashing share this pool; with Node's default of 4, uploads wait for each other.
  UV_THREADPOOL_SIZE: '16',
  // Otherwise every thread would keep memory of its own that it has once used.
  MALLOC_ARENA_MAX: '2',
};

/**
 * Serves the API until it is told to stop; how long it drains then is up to the server.
 * @type {Task}
 */
export async function start({ repo: { root }, toolchain: { node, env }, supervisor, args }) {
  const main = join(root, 'apps/api/dist/main.js');
  if (!existsSync(main)) throw new BootstrapError('The build left no apps/api/dist/main.js to start.');
  const { code } = await supervisor.run(node, [...serverFlags, main, '--welcome', ...args], {
    cwd: root,
    env: { ...serverEnvironment, ...env },
    show: true,
    signal: 'child',
    follow: true,
  });
  return code ?? 1;
}

/**
 * Runs the tests; the last line on stdout is `N passed, N failed`, with `, N skipped` when there were any. Arguments go to vitest;
 * with any, only what they select is expected to run.
 * @type {Task}
 */
export async function test({ repo: { root }, toolchain: { node, env }, supervisor, args }) {
  const report = join(root, 'reports/vitest.json');
  mkdirSync(join(root, 'reports'), { recursive: true });
  rmSync(report, { force: true });
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { code } = await supervisor.run(node, [vitest, 'run', ...reporters, ...args], {
    cwd: root,
    env,
    show: true,
    graceMs: 15_000,
    follow: true,
  });
  const summary = summarize({
    report: existsSync(report) ? readFileSync(report, 'utf8') : undefined,
    exitCode: code,
    // A machine without MinIO, and without Go to build it, runs the rest and skips those suites by name.
    required: args.length > 0 ? [] : requiredSuites(root, { minio: mustHaveMinio(env) }),
    root,
  });
  for (const problem of summary.problems) print(problem);
  process.stdout.write(`${summaryLine(summary)}\n`);
  return summary.failed === 0 ? 0 : 1;
}

/**
 * CI must have a MinIO, and so must any machine that can build one.
 * @param {NodeJS.ProcessEnv} env
 */
function mustHaveMinio(env) {
  return /^(?!(?:0|false)$)./i.test(env['CI'] ?? '') || spawnSync('go', ['version'], { env }).status === 0;
}

/**
 * Runs all checks of the code that need not run it.
 * @type {Task}
 */
export async function check({ repo: { root }, toolchain: { node, env }, supervisor, args }) {
  const main = join(root, 'tooling/checks/src/main.ts');
  const { code } = await supervisor.run(node, [main, ...args], { cwd: root, env, show: true, graceMs: 3_000, follow: true });
  return code ?? 1;
}
