import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const checkout = new URL('../../../', import.meta.url);

/**
 * The Node that `npm start` fetched into the checkout around this package. `npm start` accepts an older Node than the code runs on.
 * @returns {string | undefined}
 */
export function fetchedNode() {
  try {
    const version = readFileSync(new URL('.node-version', checkout), 'utf8').trim();
    const modules = new URL(`.toolchain/node-${version}-${process.platform}-${process.arch}/node_modules/`, checkout);
    const programs = readdirSync(modules).map((name) => fileURLToPath(new URL(`${name}/bin/node`, modules)));
    return programs.find((program) => existsSync(program));
  } catch {
    return undefined; // not a checkout, or nothing fetched yet
  }
}

/**
 * Runs a script on another Node as if it were this one. The child leads a process group of its own, so that Ctrl-C in a terminal,
 * which signals the whole group, reaches it once. It ends when this process is killed.
 * @param {string} node
 * @param {readonly string[]} args
 */
export function runOn(node, args) {
  const followParent = fileURLToPath(new URL('tooling/bootstrap/follow-parent.cjs', checkout));
  const child = spawn(node, ['--require', followParent, ...args], { detached: true, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => (process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
}
