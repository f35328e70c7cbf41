import type { Database } from '@coffer/files-db';
import { shownDatabaseUrl } from '@coffer/files-db/database-url';
import { isStorageError } from '@coffer/storage-core';

import type { Config } from './config.ts';
import type { EmbeddedPostgres } from './embedded-postgres/embedded-postgres.ts';
import { StartupError } from './startup-error.ts';

/** How the database is started, and who hears of it. */
export interface OpenDatabaseOptions {
  /** Told of what happens on its own, such as a restart of the embedded PostgreSQL. */
  readonly log?: (message: string) => void;
  /** Further module URLs from which to look for the embedded PostgreSQL's package. */
  readonly resolveFrom?: readonly string[];
  /** Aborted, the start gives up, closes what it has opened, and rejects with the signal's reason. Later it means nothing. */
  readonly signal?: AbortSignal;
}

export interface OpenDatabase {
  readonly database: Database;
  /** Closes the connections, then ends the embedded PostgreSQL unless other processes use it. */
  close(): Promise<void>;
}

const oldest = 15;
/** Others lack characters, and whoever sends one would be told that the request is wrong. SQL_ASCII keeps what it is sent. */
const encodings: readonly string[] = ['UTF8', 'SQL_ASCII'];

/**
 * The migrated database that the configuration names, or the embedded one.
 * @throws StartupError when it cannot be reached, is too old or of another encoding, or does not start; the reason of `signal`
 */
export async function openDatabase(config: Config, options: OpenDatabaseOptions): Promise<OpenDatabase> {
  const loading = import('@coffer/files-db');
  return openWith(config, options, async (database) => {
    const { newer } = await (await loading).migrateDatabase(database);
    if (newer.length > 0) options.log?.(`The tables are those of a newer version of Coffer, which added ${newer.join(', ')}.`);
  });
}

/**
 * The same, as `prepare` leaves it.
 * @throws what `openDatabase` does, and what `prepare` rejects with; nothing is left open then
 */
export async function openWith(
  config: Config,
  options: OpenDatabaseOptions,
  prepare: (database: Database) => Promise<void>,
): Promise<OpenDatabase> {
  const { url } = config.database;
  const loading = import('@coffer/files-db');
  const embedded = url === undefined ? await startEmbedded(config, options, loading) : undefined;
  const { connectDatabase, onDatabase } = await loading;
  let database: Database | undefined;
  const close = async (): Promise<void> => {
    try {
      await database?.close();
    } finally {
      await embedded?.stop();
    }
  };
  const { signal } = options;
  // Rejects the statement under way, or the attempt to connect.
  const cut = (): void => void database?.close({ timeoutSeconds: 0 }).catch(() => {});
  try {
    signal?.throwIfAborted();
    database = connectDatabase(embedded === undefined ? { url: url ?? '' } : embedded.connection);
    signal?.addEventListener('abort', cut);
    if (embedded === undefined) await assertUsable(database, onDatabase);
    await prepare(database);
    signal?.throwIfAborted();
    return { database, close };
  } catch (error) {
    await close();
    signal?.throwIfAborted();
    if (url === undefined) throw error;
    if (isFatal(error)) throw new StartupError(`DATABASE_URL (${placeOf(url)}): ${error.message} (${error.code})`, { cause: error });
    if (!isStorageError(error)) throw error;
    throw new StartupError(`DATABASE_URL (${placeOf(url)}): ${error.message}${reasonOf(error.cause)}`, { cause: error });
  } finally {
    signal?.removeEventListener('abort', cut);
  }
}

async function startEmbedded(config: Config, options: OpenDatabaseOptions, loading: Promise<unknown>): Promise<EmbeddedPostgres> {
  const { startEmbeddedPostgres } = await import('./embedded-postgres/embedded-postgres.ts');
  loading.catch(() => {}); // awaited by the caller, unless this fails first
  return startEmbeddedPostgres({ ...options, dataDir: config.dataDir });
}

async function assertUsable(database: Database, onDatabase: <T>(run: () => PromiseLike<T>) => Promise<T>): Promise<void> {
  await database.check();
  const [row] = await onDatabase(
    () => database.sql<{ version: string; encoding: string }[]>`
      select current_setting('server_version_num') as version, current_setting('server_encoding') as encoding`,
  );
  const major = Math.floor(Number(row?.version) / 10_000);
  if (major < oldest) throw new StartupError(`DATABASE_URL names a PostgreSQL ${major} server; Coffer needs ${oldest} or newer.`);
  const encoding = row?.encoding ?? '';
  if (!encodings.includes(encoding))
    throw new StartupError(`DATABASE_URL names a database with the encoding ${encoding}; Coffer needs UTF8.`);
}

function placeOf(url: string): string {
  const { hosts, database } = shownDatabaseUrl(url);
  return `${hosts}${database}`;
}

/** The server refuses the connection, such as for a setting in the query of the URL that it does not know. */
function isFatal(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'severity' in error && error.severity === 'FATAL' && 'code' in error;
}

/** With the server's own words, also where it closed the connection after them: a pooler has one code for everything. */
function reasonOf(cause: unknown): string {
  const { code, cause: last } = (cause ?? {}) as { readonly code?: unknown; readonly cause?: unknown };
  const said = [cause, last].find(
    (error): error is Error & { readonly code: string } => error instanceof Error && error.name === 'PostgresError',
  );
  if (said !== undefined) return ` (${said.code}: ${said.message})`;
  return typeof code === 'string' ? ` (${code})` : '';
}
