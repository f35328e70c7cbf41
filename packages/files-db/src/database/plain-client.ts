import { storageError } from '@coffer/storage-core';
import type { Sql } from 'postgres';

/**
 * Returns the client unless it renames or converts what the tables have, as `transform: postgres.camel` does: a file would be stored under
 * a key that nobody can read from its row. Drizzle bypasses these conversions, so its user need not notice.
 * @throws invalid_argument for such a client, and for one that is not postgres.js
 */
export function plainClient(sql: Sql): Sql {
  const transform = (sql as Partial<Sql>).options?.transform as Sql['options']['transform'] | undefined;
  // Drizzle databases over other drivers look just the same.
  if (transform === undefined) throw storageError('invalid_argument', 'The database client is not a postgres.js client.');
  const { column, value, row } = transform;
  if ([column, value, row].every(({ from }) => from === undefined)) return sql;
  throw storageError(
    'invalid_argument',
    'The client of postgres.js has a `transform` of columns, values or rows; a FileService needs one without.',
  );
}
