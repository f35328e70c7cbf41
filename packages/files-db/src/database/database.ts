import { drizzle } from 'drizzle-orm/postgres-js';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Notice, Sql } from 'postgres';

import { AnswerWatch } from './answer-watch.ts';
import { postgres } from './driver.ts';
import { onDatabase } from './error.ts';
import { parseDatabaseUrl } from './url.ts';
import { isReadOnlyConnection, WritableSearch } from './writable-search.ts';

/** A drizzle database over postgres.js, made with any drizzle schema or none. */
// oxlint-disable-next-line typescript/no-explicit-any -- the schema is a type parameter that nothing here reads
export type DrizzleDatabase = PostgresJsDatabase<any> & { readonly $client: Sql };

/** Where a database is, in parts. */
export interface DatabaseConnection {
  /** Host name, address, or the directory of a unix socket. */
  readonly host: string;
  /** Default 5432. */
  readonly port?: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
}

/** Where the database is, as a URL or in parts, and how its connections are kept. */
export type DatabaseOptions = (
  | {
      /**
       * `postgres://user:password@host:5432/database`, or `postgres:///database?host=/directory&user=name` for a unix socket. Several hosts
       * of one cluster are `host1:5432,host2:5432`: the first that accepts writes is used until it stops doing so. Parts that are left out
       * come from PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, as in libpq.
       * In the query, `prepare=false` keeps statements unnamed, for a pooler such as PgBouncer; `max` is the option below; `sslmode` works
       * as in libpq.
       */
      readonly url: string;
    }
  | DatabaseConnection
) & {
  /** Maximum number of connections; takes precedence over `max` in the URL. Default 10. */
  readonly max?: number;
  /** Seconds after which a server that does not answer counts as down; several hosts share them. Default 10. */
  readonly connectTimeout?: number;
  /** Seconds without data from the server after which a running statement and its connection count as lost. Default 30. */
  readonly answerTimeout?: number;
  /** Seconds after which an unused connection is closed. Default 300. */
  readonly idleTimeout?: number;
  /** Receives the server's notices. Fails no statement: what it throws is an uncaught exception. Default: they are ignored. */
  readonly onnotice?: (notice: Notice) => void;
};

/** A pool of connections, with drizzle on top. */
export interface Database {
  readonly db: DrizzleDatabase;
  readonly sql: Sql;
  /**
   * For health checks: rejects unless the server answers. A read-only server does answer: a standby, or one that was made read-only, as
   * managed ones are when their disk is full.
   * @throws storage_unavailable
   */
  check(): Promise<{ readonly readOnly: boolean }>;
  /** Waits up to `timeoutSeconds` (default 5) for running statements, then closes every connection. */
  close(options?: { readonly timeoutSeconds?: number }): Promise<void>;
  /** Calls `close`, at the end of a block with `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens no connection yet; the first statement does.
 * @throws invalid_argument for an invalid URL; the message contains nothing of it
 */
export function connectDatabase(options: DatabaseOptions): Database {
  const connect = connectorOf(options);
  const { max, answerTimeout = 30 } = options;
  const sql = connect(new AnswerWatch(answerTimeout, () => leaveReadOnly()), max);
  const search = new WritableSearch(
    () => connect(new AnswerWatch(answerTimeout), 1),
    () => endConnections(sql),
  );
  const leaveReadOnly = (): void => {
    // The pool begins with the host that last served it, and otherwise would take that one again.
    if (sql.options.host.length === 1 || sql.options.target_session_attrs === 'read-write') search.begin();
  };
  const db = drizzle(sql);
  const close: Database['close'] = async ({ timeoutSeconds = 5 } = {}) => {
    await Promise.all([sql.end({ timeout: timeoutSeconds }), search.close()]);
  };
  return {
    db,
    sql,
    async check() {
      const readOnly = await onDatabase(() => isReadOnlyConnection(sql));
      if (readOnly) leaveReadOnly();
      return { readOnly };
    },
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** Ends each connection once its statements or its transaction are over. Those that are needed are opened again. */
function endConnections(sql: Sql): void {
  void (sql as Sql & { close(): Promise<unknown> }).close(); // missing in the types
}

/** @returns makes a client of up to `max` connections, by default as many as the options say */
function connectorOf(options: DatabaseOptions): (watch: AnswerWatch, max?: number) => Sql {
  const { connectTimeout = 10, idleTimeout = 300, onnotice = () => {} } = options;
  const common = {
    max: 10,
    connect_timeout: connectTimeout,
    idle_timeout: idleTimeout,
    // Not within postgres.js: it would take what this throws for the failure of the statement that runs on the connection, and give the
    // answers that follow to the wrong statements.
    onnotice: (notice: Notice) => queueMicrotask(() => onnotice(notice)),
    // Finds a server within a second of its return, however long it was away.
    backoff: (attempt: number) => Math.min(0.05 * 2 ** attempt, 1),
    // Saves a query per connection for array types, which no statement here uses.
    fetch_types: false,
  };
  const ownOf = (watch: AnswerWatch, max?: number): object => ({ socket: watch.open, ...(max !== undefined && { max }) });
  if ('url' in options) {
    const { url, place } = parseDatabaseUrl(options.url);
    return (watch, max) => watch.follow(postgres(url, { ...common, ...place, ...ownOf(watch, max) }));
  }
  const { host, port = 5432, database, user, password } = options;
  const place = { host, port, database, user, ...(password !== undefined && { password }), connection: { application_name: 'coffer' } };
  return (watch, max) => watch.follow(postgres({ ...common, ...place, ...ownOf(watch, max) }));
}
