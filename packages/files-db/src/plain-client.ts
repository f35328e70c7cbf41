import { storageError } from '@coffer/storage-core';
import type { Sql } from 'postgres';

/**
 * The client, unless it gives rows other names or values than the tables have, as `transform: postgres.camel` does: a file would be
 * stored under a key that nobody can read from its row. Drizzle never sees what a client makes of rows, so its user need not notice.
 * @throws invalid_argument
 */
export function plainClient(sql: Sql): Sql {
  const transform = (sql as Partial<Sql>).options?.transform as Sql['options']['transform'] | undefined;
  // Of other drivers, drizzle makes databases that look just the same.
  if (transform === undefined) throw storageError('invalid_argument', 'The database client is not a postgres.js client.');
  const { column, value, row } = transform;
  if ([column, value, row].every(({ from }) => from === undefined)) return sql;
  throw storageError(
    'invalid_argument',
    'The client of postgres.js has a `transform` of columns, values or rows; a FileService needs one without.',
  );
}
