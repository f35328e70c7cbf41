import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Stopped } from './messages.mjs';

/**
 * @typedef {object} RunOptions
 * @property {NodeJS.ProcessEnv} env
 * @property {string} cwd
 * @property {boolean} [show] let the child write to our stdout and stderr; otherwise both are collected in `output`
 * @property {(line: string) => void} [onLine] called with each collected line
 * @property {'child' | 'group'} [signal] which processes to signal: only the child (it ends its own children), or its whole group (the default)
 * @property {number} [graceMs] milliseconds after which the rest of the group is killed; without it the child takes its time
 * @property {boolean} [follow] for a child that is a Node: it also stops when this process is gone, even by SIGKILL
 *
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null, output: string }} RunResult
 */

/** npm, its shell and a terminal can each forward the same Ctrl-C: signals within this time count as one. */
const sameRequestMs = 1_000;

/**
 * Runs children so that stopping works the same from a terminal, from npm, from `kill` and from a process manager.
 *
 * Every child leads a process group of its own. So Ctrl-C in a terminal reaches only this process, which signals the child exactly
 * once. A second Ctrl-C is passed on too, for a child that takes it as "at once"; a third kills the child and its group.
 */
export class Supervisor {
  /** @type {Set<{ stop: (signal: NodeJS.Signals) => void, kill: () => void }>} */
  #children = new Set();
  /** @type {NodeJS.Signals | undefined} */
  #stoppedBy;
  #stopRequests = 0;
  #lastRequest = 0;

  constructor() {
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, () => this.#requestStop(signal));
    }
    this.#followParent();
  }

  /**
   * Resolves when the child has ended. Rejects with `Stopped` when it ended because we were asked to stop and it gave no exit status
   * of its own.
   * @param {string} command
   * @param {readonly string[]} args
   * @param {RunOptions} options
   * @returns {Promise<RunResult>}
   */
  run(command, args, { env, cwd, show = false, onLine, signal: target = 'group', graceMs, follow = false }) {
    if (this.#stoppedBy) return Promise.reject(this.#stopped());
    return new Promise((resolve, reject) => {
      const output = show ? 'inherit' : 'pipe';
      const preload = follow ? ['--require', fileURLToPath(new URL('follow-parent.cjs', import.meta.url))] : [];
      const child = spawn(command, [...preload, ...args], {
        cwd,
        env,
        detached: true,
        stdio: follow ? ['ignore', output, output, 'ipc'] : ['ignore', output, output],
      });
      /** @type {NodeJS.Timeout | undefined} */
      let killTimer;
      const group = child.pid === undefined ? undefined : -child.pid;
      const entry = {
        /** @param {NodeJS.Signals} signal */
        stop: (signal) => {
          if (target === 'child') child.kill(signal);
          else send(group, signal);
          if (graceMs !== undefined) killTimer ??= setTimeout(entry.kill, graceMs);
        },
        kill: () => send(group, 'SIGKILL'),
      };
      this.#children.add(entry);

      let collected = '';
      let rest = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
          collected += text;
          const lines = (rest + text).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) onLine?.(line);
        });
      }
      child.on('error', (error) => {
        this.#children.delete(entry);
        reject(error);
      });
      // 'close' would wait for any process that inherited the output, such as a daemon that the child left behind.
      child.on(show ? 'exit' : 'close', (code, signal) => {
        clearTimeout(killTimer);
        this.#children.delete(entry);
        if (this.#stoppedBy && target === 'group') void untilEmpty(group, graceMs ?? 0).then(() => reject(this.#stopped()));
        else if (this.#stoppedBy && code === null) reject(this.#stopped());
        else resolve({ code, signal, output: collected });
      });
    });
  }

  #stopped() {
    return new Stopped(128 + (this.#stoppedBy ? constants.signals[this.#stoppedBy] : 0));
  }

  /** @param {NodeJS.Signals} signal */
  #requestStop(signal) {
    const now = performance.now();
    if (this.#stoppedBy && now - this.#lastRequest < sameRequestMs) return;
    this.#lastRequest = now;
    this.#stopRequests += 1;
    this.#stoppedBy ??= signal;
    if (this.#children.size === 0) process.exit(this.#stopped().exitCode);
    for (const child of this.#children) {
      if (this.#stopRequests > 2) child.kill();
      else child.stop(signal);
    }
  }

  /** `npm start` does not pass SIGTERM on: npm and its shell end and leave this process behind, so their end counts as a request to stop. */
  #followParent() {
    if (!process.env['npm_lifecycle_event'] || process.platform === 'win32') return;
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent && !this.#stoppedBy) this.#requestStop('SIGTERM');
    }, 250).unref();
  }
}

/**
 * Returns false when the group has no processes left. Signal 0 only checks.
 * @param {number | undefined} group the negative process id of its leader
 * @param {NodeJS.Signals | 0} signal
 */
function send(group, signal) {
  if (group === undefined) return false;
  try {
    return process.kill(group, signal);
  } catch {
    return false;
  }
}

/**
 * Resolves once the group has no processes left; kills those still there after `graceMs`.
 * @param {number | undefined} group
 * @param {number} graceMs
 */
async function untilEmpty(group, graceMs) {
  const deadline = performance.now() + graceMs;
  while (send(group, 0)) {
    if (performance.now() > deadline) return void send(group, 'SIGKILL');
    await delay(50);
  }
}
