import { readdir, readFile, realpath, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

import { makeDirectories } from '@coffer/storage-core';

import { ensureDataDir } from '../data-dir.ts';
import { StartupError } from '../startup-error.ts';
import { findBinaries } from './binaries.ts';
import type { Binaries } from './binaries.ts';
import { createCluster, passwordFile, role } from './create-cluster.ts';
import { identityFor } from './identity.ts';
import { withLock } from './lock.ts';
import { findRunning, hasCopiedPidFile, isAlive, serverOn, startPostmaster, stopPostmaster } from './postmaster.ts';
import type { Postmaster } from './postmaster.ts';
import { directoryOf } from './process-table.ts';
import { socketDirIn } from './socket-dir.ts';
import { addUser, countUsers, removeUser } from './users.ts';

export interface EmbeddedPostgresOptions {
  /** An absolute path; the database is in its sub-folder `postgres`. */
  readonly dataDir: string;
  /** Further module URLs from which to look for the embedded PostgreSQL's package. */
  readonly resolveFrom?: readonly string[];
  /** Told about what happens on its own, such as a restart of the embedded PostgreSQL. */
  readonly log?: (message: string) => void;
  /** Aborting it makes the start give up, close what it has opened, and reject with the signal's reason. It has no effect later. */
  readonly signal?: AbortSignal;
}

export interface EmbeddedPostgres {
  /** `host` is the folder of a Unix socket. */
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly user: string;
    readonly password: string;
  };
  /** What was found: no database, a stopped one, or a running server. */
  readonly found: 'nothing' | 'stopped' | 'running';
  /** Ends the server unless other processes use it, and waits for that for up to half a minute. Idempotent. */
  stop(): Promise<void>;
}

/** The version of the binaries: PostgreSQL does not read the files of another major version. */
const major = '18';
const startLockMs = 180_000;
const stopLockMs = 15_000;
const checkIntervalMs = 1_000;

/**
 * Creates, starts or joins the PostgreSQL of a data directory. Processes share it, and the last one to stop ends it. A server left over
 * from a killed process is taken over, and one that dies is restarted.
 * @throws StartupError when there is no PostgreSQL for this system or it does not start; the reason of `signal`. Nothing that this call has
 * started is left running then.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const binaries = findBinaries(options);
  await ensureDataDir(options.dataDir);
  const home = join(await realpath(options.dataDir), 'postgres');
  try {
    return await startIn(home, binaries, options);
  } catch (cause) {
    throw isSystemError(cause) ? unusableError(home, cause) : cause;
  }
}

async function startIn(home: string, binaries: Binaries, options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const data = join(home, 'data');
  const users = join(home, 'users');
  await makeDirectories(home, process.getuid?.() === 0 ? 0o711 : 0o700);
  const lock = join(home, 'lock');

  const findOrStart = async (
    signal: AbortSignal | undefined,
    mayCreate: boolean,
  ): Promise<{ readonly server: Postmaster; readonly found: EmbeddedPostgres['found'] }> => {
    const exists = await isCluster(data);
    const identity = await identityFor(data, [binaries.postgres, home]);
    if (!exists && !mayCreate) {
      throw new StartupError(`There is no database in ${data} any more. Put it back, or start Coffer anew for another one.`);
    }
    const files = { data, log: join(home, 'postgres.log'), socketDir: await socketDirIn(home, identity) };
    signal?.throwIfAborted();
    if (!exists) {
      await createCluster(data, binaries, identity, signal);
    } else if (await hasCopiedPidFile(data)) {
      await rm(join(data, 'postmaster.pid'));
      await rm(users, { recursive: true, force: true });
    }
    const running = exists ? await findRunning(files, signal) : undefined;
    if (running !== undefined) return { server: running, found: 'running' };
    return { server: await startPostmaster(binaries.postgres, files, identity, signal), found: exists ? 'stopped' : 'nothing' };
  };

  const { signal, log = () => {} } = options;
  const { server, found, user } = await withLock(lock, { timeoutMs: startLockMs, signal }, async () => {
    const started = await findOrStart(signal, true);
    try {
      return { ...started, user: await addUser(users) };
    } catch (error) {
      if (started.found !== 'running') await stopPostmaster(started.server);
      throw error;
    }
  });

  const watch = watchServer(server, log, (ended) =>
    withLock(lock, { timeoutMs: startLockMs, signal: ended }, () => findOrStart(ended, false)).then(
      (restarted) => restarted.server,
      (cause: unknown) => {
        throw isSystemError(cause) ? unusableError(home, cause) : cause;
      },
    ),
  );
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const current = await watch.end();
    const endUnlessUsed = async (within: string): Promise<void> => {
      if ((await countUsers(within, user)) > 0) return;
      // Another user may have started it again since this one looked.
      const last = (await isAlive(current)) ? current : ((await serverOn(data)) ?? current);
      if (!(await stopPostmaster(last))) log(`PostgreSQL (pid ${last.pid}) did not stop in time.`);
    };
    try {
      await removeUser(users, user);
      await withLock(lock, { timeoutMs: stopLockMs }, () => endUnlessUsed(users));
    } catch (error) {
      // Whoever holds the lock counts the users on leaving.
      if (error instanceof StartupError) return;
      if (!isSystemError(error)) throw error;
      // The directory was moved or unmounted, or is read-only: nobody else starts a server in it now, or would end this one.
      const moved = join((await directoryOf(current.pid)) ?? data, '../users');
      await removeUser(moved, user).catch(() => {});
      await endUnlessUsed(moved);
    }
  };
  let password: string;
  try {
    signal?.throwIfAborted();
    password = await readPassword(join(data, passwordFile));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    connection: { host: server.socketDir, port: 5432, database: role, user: role, password },
    found,
    stop: () => (stopping ??= stop()),
  };
}

/** Whether the system refused something, directly or through SQLite, which holds the lock. */
function isSystemError(cause: unknown): cause is Error {
  return cause instanceof Error && ('syscall' in cause || ('code' in cause && cause.code === 'ERR_SQLITE_ERROR'));
}

function unusableError(home: string, cause: Error): StartupError {
  return new StartupError(
    `The embedded PostgreSQL cannot use ${home} (${cause.message}); check its owner, its mode and the free space on its disk, or set COFFER_DATA_DIR or DATABASE_URL.`,
    { cause },
  );
}

async function readPassword(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new StartupError(`The password file ${path} of the embedded PostgreSQL cannot be read.`, { cause });
  }
}

/** Errors of reading the version of a database that does not exist, or belongs to another user: `identityFor` says so. */
const absentCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES']);

/**
 * Whether there is a database.
 * @throws StartupError when there is something else, or a database of another version; the system's error when that cannot be read
 */
async function isCluster(data: string): Promise<boolean> {
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (!absentCodes.has(error.code ?? '')) throw error;
    return undefined;
  });
  if (version?.trim() === major) return true;
  if (version !== undefined) {
    throw new StartupError(
      `The database in ${data} was made by PostgreSQL ${version.trim()}, but this version of Coffer includes ${major}. Use the version of Coffer that made it, dump the database there and load it here, or set DATABASE_URL to a server that holds it.`,
    );
  }
  const entries = await readdir(data).catch(() => undefined);
  if (entries === undefined) return false;
  if (entries.length > 0)
    throw new StartupError(
      `${data} is not empty, and not a database of PostgreSQL. Move it away, or set COFFER_DATA_DIR to another directory.`,
    );
  await rmdir(data);
  return false;
}

/** Restarts a server that died. Tries each second, and tells of a failure once. `end` gives up an attempt and returns the last server. */
function watchServer(
  first: Postmaster,
  log: (message: string) => void,
  restart: (ended: AbortSignal) => Promise<Postmaster>,
): { end(): Promise<Postmaster> } {
  const ending = new AbortController();
  let server = first;
  let checking: Promise<void> | undefined;
  let told = '';
  const check = async (): Promise<void> => {
    // Without a descriptor left, nobody can tell; the next check may.
    if (await isAlive(server).catch(() => true)) return;
    try {
      server = await restart(ending.signal);
      told = '';
      log(`PostgreSQL had ended and was started again (pid ${server.pid}).`);
    } catch (error) {
      if (ending.signal.aborted) return;
      const message = `PostgreSQL has ended and does not start again: ${error instanceof Error ? error.message : String(error)}`;
      const same = message.replaceAll(/\d+/g, ''); // it may quote the log, with times and pids
      if (same !== told) log(message);
      told = same;
    }
  };
  const timer = setInterval(() => {
    checking ??= check().finally(() => (checking = undefined));
  }, checkIntervalMs).unref();
  return {
    async end() {
      clearInterval(timer);
      ending.abort();
      await checking;
      return server;
    },
  };
}
