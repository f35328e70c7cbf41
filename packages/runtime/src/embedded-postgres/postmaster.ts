import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { StartupError } from '../startup-error.ts';
import { cannotRun } from './binaries.ts';
import type { Identity } from './identity.ts';
import { commandOf, startOf } from './process-table.ts';
import { socketName } from './socket-dir.ts';
import { spawnAs } from './spawn-as.ts';

/** One run of the server. */
export interface Postmaster {
  readonly pid: number;
  /** Identifies the process, together with the pid; see `startOf`. */
  readonly start: string;
  readonly socketDir: string;
}

export interface ServerFiles {
  readonly data: string;
  readonly log: string;
  readonly socketDir: string;
}

/** How long a server is waited for that is starting or stopping, and while it is starting then for each next line of its log. */
interface Patience {
  readonly startMs: number;
  readonly silenceMs: number;
}

/** PostgreSQL logs every 10 s how far the recovery after a crash has come (log_startup_progress_interval). */
const usualPatience: Patience = { startMs: 60_000, silenceMs: 30_000 };
const foreignTimeoutMs = 2_000;
/** Error codes of connecting to a socket that nobody listens on. The last two mean that no socket can have this path. */
const notListeningCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'EINVAL', 'ENAMETOOLONG']);
const maxLogBytes = 5 * 1024 * 1024;

/** Small: for a few connections from one machine. Everything that protects committed data stays on. */
const settings = {
  listen_addresses: '',
  port: 5432,
  unix_socket_permissions: '0700',
  max_connections: 50,
  shared_buffers: '32MB',
  max_wal_size: '256MB',
  wal_level: 'minimal',
  max_wal_senders: 0,
  io_method: 'sync',
  max_parallel_workers_per_gather: 0,
  max_logical_replication_workers: 0,
  autovacuum_max_workers: 1,
  log_checkpoints: 'off',
  log_timezone: 'UTC',
};

export async function isAlive({ pid, start }: Postmaster): Promise<boolean> {
  return (await startOf(pid)) === start;
}

/** @returns tells whether the server has had its time, and says nothing any more; whatever one says that is not starting is no progress */
async function patienceFor(log: string, { startMs, silenceMs }: Patience): Promise<(isStarting?: boolean) => Promise<boolean>> {
  let logged = await sizeOf(log);
  let deadline = performance.now() + startMs;
  return async (isStarting = true) => {
    if (performance.now() < deadline) return false;
    const size = await sizeOf(log);
    if (!isStarting || size === logged) return true;
    [logged, deadline] = [size, performance.now() + silenceMs];
    return false;
  };
}

/**
 * The server that now runs on `data`, ready for connections; waits for one that is still starting or stopping. Undefined when there is
 * none: then leftovers of a killed server that would keep the next one from starting are removed.
 * @throws StartupError when a server runs that we cannot see, or does not answer; the reason of `signal`
 */
export async function findRunning(files: ServerFiles, signal?: AbortSignal, patience = usualPatience): Promise<Postmaster | undefined> {
  const isOver = await patienceFor(files.log, patience);
  // One that is stopping fills its log with the clients that it refuses, for as long as another one stays.
  for (let status = ''; !(await isOver(status === 'starting')); await delay(10)) {
    signal?.throwIfAborted();
    const state = await readState(files.data);
    const start = state === undefined ? undefined : await startOf(state.pid);
    const isServer = state !== undefined && start !== undefined && runsOn(state.data, await commandOf(state.pid));
    if (!isServer) {
      const socketDirs = new Set([files.socketDir, state?.socketDir ?? ''].filter((dir) => dir !== ''));
      await assertUnused(files.data, socketDirs, signal);
      // PostgreSQL itself only checks whether the pid exists; after a container was killed, it soon does again.
      await removeLeftovers(files.data, socketDirs);
      return undefined;
    }
    ({ status } = state);
    if (status === 'ready' && (await acceptsConnections(state.socketDir))) return { pid: state.pid, start, socketDir: state.socketDir };
  }
  throw new StartupError(`A PostgreSQL server runs on ${files.data} but does not answer; its log is ${files.log}.`);
}

/** The server that now runs on `data`, ready or not; undefined if there is none. */
export async function serverOn(data: string): Promise<Postmaster | undefined> {
  const state = await readState(data);
  const start = state === undefined ? undefined : await startOf(state.pid);
  if (state === undefined || start === undefined || !runsOn(data, await commandOf(state.pid))) return undefined;
  return { pid: state.pid, start, socketDir: state.socketDir };
}

/**
 * Whether the pid file came here with a copy of a directory that was in use: it names a living server, which runs on the original. False
 * when the directory itself was moved under its server.
 */
export async function hasCopiedPidFile(data: string): Promise<boolean> {
  const state = await readState(data);
  if (state === undefined || !runsOn(state.data, await commandOf(state.pid))) return false;
  // A server works in its data directory. If that is not visible, it is the directory that the server was given.
  const [ownDir, serverDir] = await Promise.all([
    stat(data),
    stat(`/proc/${state.pid}/cwd`).catch(() => stat(state.data).catch(() => undefined)),
  ]);
  return serverDir !== undefined && (serverDir.dev !== ownDir.dev || serverDir.ino !== ownDir.ino);
}

/**
 * A pid says nothing about processes in another pid namespace, such as a container that shares the data directory. Sockets are the same for
 * all of them. Such a server cannot be shared, since neither side could tell who still uses it.
 */
async function assertUnused(data: string, socketDirs: ReadonlySet<string>, signal: AbortSignal | undefined): Promise<void> {
  for (const dir of socketDirs) {
    // The processes of a container that was just killed end one by one.
    for (const deadline = performance.now() + foreignTimeoutMs; await isListening(dir); await delay(20)) {
      signal?.throwIfAborted();
      if (performance.now() < deadline) continue;
      throw new StartupError(
        `Another container or machine runs the PostgreSQL of ${data}: something listens on ${join(dir, socketName)}, and it is not a process of this system. A data directory belongs to one machine or container at a time: stop the other one, set COFFER_DATA_DIR to another directory, or DATABASE_URL to a server that both use.`,
      );
    }
  }
}

/**
 * Starts the server and waits until it accepts connections, and longer than usual while it tells of its progress. It outlives this process.
 * @throws StartupError when it does not start; the reason of `signal`; it is not left running then
 */
export async function startPostmaster(
  postgres: string,
  files: ServerFiles,
  identity: Identity,
  signal?: AbortSignal,
  patience = usualPatience,
): Promise<Postmaster> {
  for (const deadline = performance.now() + 10_000; ; await delay(200)) {
    signal?.throwIfAborted();
    const started = await startOnce(postgres, files, identity, patience, signal);
    if (typeof started !== 'string') return started;
    // The last connections of a killed server need a moment to notice.
    const isTransient = started.includes('pre-existing shared memory block') || started.includes('is still in use');
    if (!isTransient || performance.now() > deadline) {
      throw new StartupError(
        `The embedded PostgreSQL does not start; its log ${files.log} ends with:\n${started.trim().split('\n').slice(-6).join('\n')}`,
      );
    }
  }
}

/** @returns the server, or what it wrote to its log when it has ended before it was ready */
async function startOnce(
  postgres: string,
  files: ServerFiles,
  identity: Identity,
  patience: Patience,
  signal: AbortSignal | undefined,
): Promise<Postmaster | string> {
  if ((await sizeOf(files.log)) > maxLogBytes) await rename(files.log, `${files.log}.1`);
  const logOffset = await sizeOf(files.log);
  const log = await open(files.log, 'a', 0o600);
  const options = Object.entries({ ...settings, unix_socket_directories: quoted(files.socketDir) }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  // In its own session: Ctrl-C in the terminal must not end it before its users are done.
  const child = spawnAs(identity, [postgres, '-D', files.data, ...options], { stdio: ['ignore', log.fd, log.fd], detached: true });
  child.unref();
  let hasExited = false;
  let failure: NodeJS.ErrnoException | undefined;
  child.once('exit', () => (hasExited = true));
  child.once('error', (error) => {
    failure = error;
    hasExited = true;
  });
  await log.close(); // not before: the server may have ended meanwhile

  for (const isOver = await patienceFor(files.log, patience); signal?.aborted !== true && !(await isOver()); await delay(5)) {
    const state = await readState(files.data);
    if (state !== undefined && state.pid === child.pid && state.status === 'ready') {
      return { pid: state.pid, start: (await startOf(state.pid)) ?? '', socketDir: state.socketDir };
    }
    if (failure?.code === 'ENOENT') throw cannotRun(postgres, failure);
    if (failure !== undefined) throw failure;
    if (hasExited) return (await readFile(files.log)).subarray(logOffset).toString();
  }
  if (child.pid !== undefined) {
    await stopPostmaster({ pid: child.pid, start: (await startOf(child.pid)) ?? '', socketDir: files.socketDir });
  }
  signal?.throwIfAborted();
  throw new StartupError(
    `The embedded PostgreSQL was not ready after ${patience.startMs / 1000} s, and says nothing any more; its log is ${files.log}.`,
  );
}

/** Ends the server: connections are cut, what was committed is on disk. @returns false when it is still running after 15 s */
export async function stopPostmaster(server: Postmaster): Promise<boolean> {
  for (const [signal, timeoutMs] of [
    ['SIGINT', 10_000],
    ['SIGQUIT', 5_000],
  ] as const) {
    if (!(await isAlive(server))) return true;
    try {
      process.kill(server.pid, signal);
    } catch {
      return !(await isAlive(server));
    }
    for (const deadline = performance.now() + timeoutMs; performance.now() < deadline; await delay(5)) {
      if (!(await isAlive(server))) return true;
    }
  }
  return false;
}

/** Quotes a list entry: a path with a comma would otherwise be two. */
function quoted(path: string): string {
  return `"${path.replaceAll('"', '""')}"`;
}

interface State {
  readonly pid: number;
  /** As given to the server. */
  readonly data: string;
  readonly socketDir: string;
  readonly status: string;
}

/** @see https://www.postgresql.org/docs/current/storage-file-layout.html and src/include/utils/pidfile.h */
async function readState(data: string): Promise<State | undefined> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  return Number.isInteger(pid) && pid > 0
    ? { pid, data: lines[1] ?? '', socketDir: lines[4] ?? '', status: (lines[7] ?? '').trim() }
    : undefined;
}

function runsOn(data: string, command: string): boolean {
  return /(?:^|\/)postgres /.test(command) && command.includes(` ${data} `);
}

async function removeLeftovers(data: string, socketDirs: ReadonlySet<string>): Promise<void> {
  const sockets = [...socketDirs].map((dir) => join(dir, socketName));
  const paths = [join(data, 'postmaster.pid'), ...sockets, ...sockets.map((path) => `${path}.lock`)];
  await Promise.all(paths.map((path) => rm(path, { force: true })));
}

/** Whether anybody listens, even if too busy to answer. If that cannot be determined, it counts as yes. */
async function isListening(socketDir: string): Promise<boolean> {
  const socket = connect(join(socketDir, socketName));
  try {
    return await new Promise<boolean>((resolve) => {
      socket
        .once('connect', () => resolve(true))
        .once('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(!notListeningCodes.has(code)));
    });
  } finally {
    socket.destroy();
  }
}

/** Whether the server accepts a connection: it answers a TLS request with one letter, before any login. */
async function acceptsConnections(socketDir: string): Promise<boolean> {
  const request = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
  const socket = connect(join(socketDir, socketName));
  socket.setTimeout(2_000, () => socket.destroy());
  try {
    return await new Promise<boolean>((resolve) => {
      socket
        .once('data', () => resolve(true))
        .once('error', () => resolve(false))
        .once('close', () => resolve(false));
      socket.write(request);
    });
  } finally {
    socket.destroy();
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
