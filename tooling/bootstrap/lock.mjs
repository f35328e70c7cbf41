import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeSync, linkSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { print } from './messages.mjs';

const heartbeatMs = 2_000;
const pollMs = 200;

/**
 * Runs `work` while no other process of this checkout runs its own. The lock is a file that names its holder. Another process takes
 * it over when the holder is dead (same host), or has not touched the file for `silenceMs` (another host, a container, a reused
 * process id).
 * @template T
 * @param {string} path
 * @param {() => Promise<T>} work
 * @param {{ silenceMs?: number }} [options]
 * @returns {Promise<T>}
 */
export async function withLock(path, work, { silenceMs = 60_000 } = {}) {
  mkdirSync(dirname(path), { recursive: true });
  await acquire(path, silenceMs);
  const release = () => rmSync(path, { force: true });
  process.once('exit', release); // a signal ends the process without unwinding
  const heartbeat = setInterval(() => touch(path), heartbeatMs).unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    process.removeListener('exit', release);
    release();
  }
}

/**
 * @param {string} path
 * @param {number} silenceMs
 */
async function acquire(path, silenceMs) {
  let lastBeat = 0;
  let waitedMs = 0; // counted in polls, so that the holder is not silent while the machine sleeps
  let announced = false;
  while (!create(path)) {
    const holder = read(path);
    if (holder === undefined) continue; // released just now
    if (holder.beat !== lastBeat) [lastBeat, waitedMs] = [holder.beat, 0];
    if (isDead(holder) || waitedMs > silenceMs) {
      removeStale(path, holder.text);
      continue;
    }
    if (!announced)
      print(`waiting for another Coffer command${holder.pid ? ` (process ${holder.pid})` : ''} that is preparing this checkout`);
    announced = true;
    await delay(pollMs);
    waitedMs += pollMs;
  }
}

/**
 * @param {string} path
 * @returns {boolean} false when somebody else holds the lock
 */
function create(path) {
  let file;
  try {
    file = openSync(path, 'wx');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
  try {
    try {
      writeSync(file, JSON.stringify({ pid: process.pid, host: hostname() }));
    } finally {
      closeSync(file); // network file systems may report a full disk as late as this
    }
    return true;
  } catch (error) {
    rmSync(path, { force: true }); // on a full disk, a lock without a name would keep the next command waiting for a minute
    throw error;
  }
}

/**
 * @typedef {{ text: string, beat: number, pid?: number, host?: string }} Holder
 * @param {string} path
 * @returns {Holder | undefined} undefined when the lock is free
 */
function read(path) {
  try {
    const beat = statSync(path).mtimeMs;
    const text = readFileSync(path, 'utf8');
    return { text, beat, ...parsed(text) };
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * A holder that died between creating and writing the file left it empty: then only its silence shows that it is dead.
 * @param {string} text
 */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** @param {Holder} holder */
function isDead({ pid, host }) {
  if (pid === undefined || host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH'; // EPERM: alive, but another user's
  }
}

/**
 * Removes a dead holder's lock. If several waiters saw it, one renames it first. Another may then be moving the lock of a new, living
 * holder; it recognizes this by the text, and puts the file back.
 * @param {string} path
 * @param {string} staleText
 */
function removeStale(path, staleText) {
  const movedPath = `${path}.${process.pid}`;
  try {
    renameSync(path, movedPath);
    if (readFileSync(movedPath, 'utf8') !== staleText) linkSync(movedPath, path);
    else print('taking over from a Coffer command that was killed while preparing this checkout');
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
  } finally {
    rmSync(movedPath, { force: true });
  }
}

/** @param {string} path */
function touch(path) {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // Somebody removed the cache folder by hand; the work goes on.
  }
}
