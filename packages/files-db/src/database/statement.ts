import type { Sql, TransactionSql } from 'postgres';

import { whileWatched } from './answer-watch.ts';
import { onDatabase } from './error.ts';
import { retryConflicts } from './retry-conflicts.ts';

export type Parameter = string | number | boolean | null | undefined;

/** Runs one statement. An undefined parameter becomes NULL. */
export type Statement<P, Row> = (sql: Sql | TransactionSql, parameters: P) => Promise<readonly Row[]>;

/**
 * Makes a statement that is prepared once per connection. Its text refers to parameters as `{name}`, with a cast where the type does not
 * follow from the position. How a client converts values depends on who made it (drizzle takes over dates and JSON), so statements take and
 * return only text, numbers and booleans. A statement that is a transaction of its own is tried again after a conflict undid it.
 */
export function statement<P extends Readonly<Record<keyof P, Parameter>>, Row>(text: string): Statement<P, Row> {
  const parts = text.split(/\{(\w+)\}/);
  const names = parts.filter((_, index) => index % 2 === 1) as (keyof P)[];
  const literals = parts.filter((_, index) => index % 2 === 0);
  // postgres.js takes this for a tagged template, and recognizes the statement by it.
  const strings = Object.assign(literals, { raw: literals }) as TemplateStringsArray;
  return (sql, parameters) => {
    const run = async (): Promise<readonly Row[]> => {
      const values = names.map((name) => (parameters[name] as Parameter) ?? null);
      const rows = await onDatabase(() => whileWatched(sql, (sql as Sql)(strings, ...values)));
      return rows as unknown as readonly Row[];
    };
    return 'savepoint' in sql ? run() : retryConflicts(run); // a transaction has to be repeated as a whole
  };
}

/**
 * SQL for a `sweep_at` at which a row is due for every sweep, whatever age that goes by. The rows do not share one time: a sweep goes on from
 * the time of the last row it took, and with each batch would pass all rows of that time again. A century ago, milliseconds are still exact
 * as a floating-point number of seconds, which is how the sweep names a time.
 */
export const dueAtOnce = `clock_timestamp() - interval '100 years'`;

/** SQL for a time to come. All times are the database's: the clocks of the processes that share it may differ. */
export const inSeconds = (seconds: string): string => `now() + ${seconds} * interval '1 second'`;
