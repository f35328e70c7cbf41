import type { Database } from '@coffer/files-db';
import { shownDatabaseUrl } from '@coffer/files-db/database-url';
import { isStorageError } from '@coffer/storage-core';

import type { Config } from './config.ts';
import type { EmbeddedPostgres, EmbeddedPostgresOptions } from './embedded-postgres/embedded-postgres.ts';
import { StartupError } from './startup-error.ts';

/** How the database is started, and who is told about it. */
export type OpenDatabaseOptions = Omit<EmbeddedPostgresOptions, 'dataDir'>;

export interface OpenDatabase {
  readonly database: Database;
  /** Closes the connections, then ends the embedded PostgreSQL unless other processes use it. */
  close(): Promise<void>;
}

const minMajor = 15;
/**
 * Other encodings lack characters, and a client that sends one would be told that its request is wrong. SQL_ASCII stores what it is sent.
 */
const encodings: readonly string[] = ['UTF8', 'SQL_ASCII'];

/**
 * The migrated database that the configuration names, or the embedded one.
 * @throws StartupError when it cannot be reached, is too old, has another encoding, or does not start; the reason of `signal`
 */
export async function openDatabase(config: Config, options: OpenDatabaseOptions): Promise<OpenDatabase> {
  const loading = import('@coffer/files-db');
  return openWith(config, options, async (database) => {
    const { newer } = await (await loading).migrateDatabase(database);
    if (newer.length > 0) options.log?.(`The tables are those of a newer version of Coffer, which added ${newer.join(', ')}.`);
  });
}

/**
 * As `openDatabase`, with `prepare` for the migrations.
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
  // Rejects the statement in progress, or the attempt to connect.
  const abort = (): void => void database?.close({ timeoutSeconds: 0 }).catch(() => {});
  try {
    signal?.throwIfAborted();
    database = connectDatabase(embedded === undefined ? { url: url ?? '' } : embedded.connection);
    signal?.addEventListener('abort', abort);
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
    signal?.removeEventListener('abort', abort);
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
  if (major < minMajor) throw new StartupError(`DATABASE_URL names a PostgreSQL ${major} server; Coffer needs ${minMajor} or newer.`);
  const encoding = row?.encoding ?? '';
  if (!encodings.includes(encoding))
    throw new StartupError(`DATABASE_URL names a database with the encoding ${encoding}; Coffer needs UTF8.`);
}

function placeOf(url: string): string {
  const { hosts, database } = shownDatabaseUrl(url);
  return `${hosts}${database}`;
}

/** Whether the server refused the connection, for example because of an unknown setting in the query of the URL. */
function isFatal(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'severity' in error && error.severity === 'FATAL' && 'code' in error;
}

/** Includes the server's own words, even if it closed the connection after them: a pooler has one code for everything. */
function reasonOf(cause: unknown): string {
  const { code, cause: last } = (cause ?? {}) as { readonly code?: unknown; readonly cause?: unknown };
  const serverError = [cause, last].find(
    (error): error is Error & { readonly code: string } => error instanceof Error && error.name === 'PostgresError',
  );
  if (serverError !== undefined) return ` (${serverError.code}: ${serverError.message})`;
  return typeof code === 'string' ? ` (${code})` : '';
}
