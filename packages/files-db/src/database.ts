import { storageError } from '@coffer/storage-core';
import { drizzle } from 'drizzle-orm/postgres-js';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import type { Notice, Options, PostgresType, Sql } from 'postgres';

import { AnswerWatch, whileWatched } from './answer-watch.ts';
import { onDatabase } from './database-error.ts';

/** A drizzle database over postgres.js, made with any drizzle schema or none. */
// oxlint-disable-next-line typescript/no-explicit-any -- the schema is a type parameter that nothing here reads
export type DrizzleDatabase = PostgresJsDatabase<any> & { readonly $client: Sql };

export interface DatabaseConnection {
  /** Host name, address, or the directory of a unix socket. */
  readonly host: string;
  readonly port?: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
}

export type DatabaseOptions = (
  | {
      /**
       * `postgres://user:password@host:5432/database`; a unix socket as `postgres:///database?host=/directory&user=name`.
       * `prepare=false` in the query keeps statements unnamed, for a pooler such as PgBouncer; `sslmode` as in libpq.
       */
      readonly url: string;
    }
  | DatabaseConnection
) & {
  /** Most connections at once. Default 10. */
  readonly max?: number;
  /** Seconds until a server that does not answer counts as down. Default 10. */
  readonly connectTimeout?: number;
  /**
   * Seconds without a word from the server after which a statement counts as lost, and its connection with it. Default 30. With
   * several hosts in a URL, no connection is watched.
   */
  readonly answerTimeout?: number;
  /** Seconds after which an unused connection is closed. Default 300. */
  readonly idleTimeout?: number;
  /** What the server remarks. Default: nothing is done with it. */
  readonly onnotice?: (notice: Notice) => void;
};

export interface Database {
  readonly db: DrizzleDatabase;
  readonly sql: Sql;
  /** Rejects unless the server answers; for health checks. @throws storage_unavailable */
  check(): Promise<void>;
  /** Waits up to `timeoutSeconds` (default 5) for running statements, then closes every connection. */
  close(options?: { readonly timeoutSeconds?: number }): Promise<void>;
}

/**
 * Opens no connection yet: that is the first statement's work.
 * @throws invalid_argument for a URL that is none; the message holds nothing of it
 */
export function connectDatabase(options: DatabaseOptions): Database {
  const sql = client(options);
  const db = drizzle(sql);
  return {
    db,
    sql,
    async check() {
      await onDatabase(() => whileWatched(sql, sql`select 1`));
    },
    async close({ timeoutSeconds = 5 } = {}) {
      await sql.end({ timeout: timeoutSeconds });
    },
  };
}

function client(options: DatabaseOptions): Sql {
  const { max = 10, connectTimeout = 10, answerTimeout = 30, idleTimeout = 300, onnotice = () => {} } = options;
  const watch = new AnswerWatch(answerTimeout);
  const common: Options<Record<string, PostgresType>> = {
    max,
    connect_timeout: connectTimeout,
    idle_timeout: idleTimeout,
    onnotice,
    // A server that comes back is found within a second, whatever it took.
    backoff: (attempt) => Math.min(0.05 * 2 ** attempt, 1),
    // A query per connection, for array types, which no statement here uses.
    fetch_types: false,
  };
  const open = (more: object): Sql => {
    if ('url' in options) {
      const { url, ...fromQuery } = parseUrl(options.url);
      return postgres(url, { ...common, ...more, ...fromQuery });
    }
    const { host, port = 5432, database, user, password } = options;
    return postgres({
      ...common,
      ...more,
      host,
      port,
      database,
      user,
      ...(password !== undefined && { password }),
      connection: { application_name: 'coffer' },
    });
  };
  const plain = open({}); // which opens no connection yet
  // From one host to the next, postgres.js goes with sockets of its own only.
  return plain.options.host.length > 1 ? plain : watch.follow(open({ socket: watch.open }));
}

interface UrlParts {
  readonly url: string;
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  readonly connection?: { readonly application_name: string };
}

// libpq lets the query name what a URL cannot, such as the directory of a socket; postgres.js would send it to the server
// as a setting.
function parseUrl(text: string): UrlParts {
  if (!/^postgres(?:ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw storageError('invalid_argument', 'The URL of the database is not of the form postgres://user:password@host:5432/database.');
  }
  const url = new URL(text);
  const take = (name: string): string | undefined => {
    const value = url.searchParams.get(name) ?? undefined;
    url.searchParams.delete(name);
    return value;
  };
  const host = take('host');
  const port = take('port');
  const user = take('user');
  const password = take('password');
  return {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port: Number(port) }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(!url.searchParams.has('application_name') && { connection: { application_name: 'coffer' } }),
    url: url.href,
  };
}
