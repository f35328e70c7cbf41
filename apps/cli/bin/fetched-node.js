import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const checkout = new URL('../../../', import.meta.url);

/**
 * The Node that `npm start` has fetched into the checkout around this package: it asks for an older one than the code runs on.
 * @returns {string | undefined}
 */
export function fetchedNode() {
  try {
    const version = readFileSync(new URL('.node-version', checkout), 'utf8').trim();
    const modules = new URL(`.toolchain/node-${version}-${process.platform}-${process.arch}/node_modules/`, checkout);
    const programs = readdirSync(modules).map((name) => fileURLToPath(new URL(`${name}/bin/node`, modules)));
    return programs.find((program) => existsSync(program));
  } catch {
    return undefined; // no checkout, or nothing fetched yet
  }
}

/**
 * Runs a script on another Node as if it were this one. It leads a process group of its own, so that a terminal's Ctrl-C, which
 * reaches a whole group, is heard once, and ends when this process is killed.
 * @param {string} node
 * @param {readonly string[]} args
 */
export function runOn(node, args) {
  const follow = fileURLToPath(new URL('tooling/bootstrap/follow-parent.cjs', checkout));
  const child = spawn(node, ['--require', follow, ...args], { detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => (process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
}
