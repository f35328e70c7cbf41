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
 * @property {'child' | 'group'} [signal] who is told to stop: the child alone (it ends its own children), or all it started (the default)
 * @property {number} [graceMs] how long after that what is left of the group is killed; without it the child takes its time
 * @property {boolean} [follow] the child, a Node, also stops when this process is gone, even by SIGKILL
 *
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null, output: string }} RunResult
 */

/** npm, its shell and a terminal can each pass the same Ctrl-C on: within this time it is one wish. */
const sameWishMs = 1_000;

/**
 * Runs children so that stopping works the same from a terminal, from npm, from `kill` and from a process manager.
 *
 * Every child leads a process group of its own. A terminal's Ctrl-C therefore reaches this process only, and the child hears of it exactly
 * once, from here. A second Ctrl-C is passed on too, for a child that takes it as "at once"; a third kills the child and its group.
 */
export class Supervisor {
  /** @type {Set<{ stop: (signal: NodeJS.Signals) => void, kill: () => void }>} */
  #children = new Set();
  /** @type {NodeJS.Signals | undefined} */
  #stoppedBy;
  #wishes = 0;
  #lastWish = 0;

  constructor() {
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, () => this.#wish(signal));
    }
    this.#followParent();
  }

  /**
   * Resolves when the child has ended. Rejects with `Stopped` when it ended because we were asked to stop and it had no answer of its own.
   * @param {string} command
   * @param {readonly string[]} args
   * @param {RunOptions} options
   * @returns {Promise<RunResult>}
   */
  run(command, args, { env, cwd, show = false, onLine, signal: target = 'group', graceMs, follow = false }) {
    if (this.#stoppedBy) return Promise.reject(this.#stopped());
    return new Promise((fulfil, reject) => {
      const output = show ? 'inherit' : 'pipe';
      const preload = follow ? ['--require', fileURLToPath(new URL('follow-parent.cjs', import.meta.url))] : [];
      const child = spawn(command, [...preload, ...args], {
        cwd,
        env,
        detached: true,
        stdio: follow ? ['ignore', output, output, 'ipc'] : ['ignore', output, output],
      });
      /** @type {NodeJS.Timeout | undefined} */
      let grace;
      const group = child.pid === undefined ? undefined : -child.pid;
      const entry = {
        /** @param {NodeJS.Signals} signal */
        stop: (signal) => {
          if (target === 'child') child.kill(signal);
          else send(group, signal);
          if (graceMs !== undefined) grace ??= setTimeout(entry.kill, graceMs);
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
      // 'close' would wait for whoever inherited the output, such as a daemon that the child left behind.
      child.on(show ? 'exit' : 'close', (code, signal) => {
        clearTimeout(grace);
        this.#children.delete(entry);
        if (this.#stoppedBy && target === 'group') void emptied(group, graceMs ?? 0).then(() => reject(this.#stopped()));
        else if (this.#stoppedBy && code === null) reject(this.#stopped());
        else fulfil({ code, signal, output: collected });
      });
    });
  }

  #stopped() {
    return new Stopped(128 + (this.#stoppedBy ? constants.signals[this.#stoppedBy] : 0));
  }

  /** @param {NodeJS.Signals} signal */
  #wish(signal) {
    const now = performance.now();
    if (this.#stoppedBy && now - this.#lastWish < sameWishMs) return;
    this.#lastWish = now;
    this.#wishes += 1;
    this.#stoppedBy ??= signal;
    if (this.#children.size === 0) process.exit(this.#stopped().exitCode);
    for (const child of this.#children) {
      if (this.#wishes > 2) child.kill();
      else child.stop(signal);
    }
  }

  /** `npm start` keeps SIGTERM to itself: npm and its shell end and leave this process behind, so their end is taken as the wish to stop. */
  #followParent() {
    if (!process.env['npm_lifecycle_event'] || process.platform === 'win32') return;
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent && !this.#stoppedBy) this.#wish('SIGTERM');
    }, 250).unref();
  }
}

/**
 * False when nobody is left in the group. Signal 0 only asks.
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
 * Resolves once nobody is left in the group; kills who is still there after `graceMs`.
 * @param {number | undefined} group
 * @param {number} graceMs
 */
async function emptied(group, graceMs) {
  const deadline = performance.now() + graceMs;
  while (send(group, 0)) {
    if (performance.now() > deadline) return void send(group, 'SIGKILL');
    await delay(50);
  }
}
