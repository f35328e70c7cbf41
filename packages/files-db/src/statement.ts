import type { Sql, TransactionSql } from 'postgres';

import { whileWatched } from './answer-watch.ts';
import { onDatabase } from './database-error.ts';
import { despiteConflicts } from './despite-conflicts.ts';

export type Parameter = string | number | boolean | null | undefined;

/** Runs one statement; a parameter that is undefined is NULL. */
export type Statement<P, Row> = (sql: Sql | TransactionSql, parameters: P) => Promise<readonly Row[]>;

/**
 * A statement that is prepared once per connection. Parameters stand in it as `{name}`, each with a cast where its type does
 * not follow from its place. What a driver is told about a value differs with who made it (drizzle takes dates and JSON over), so
 * statements take and give text, numbers and booleans only. One that is a transaction of its own, and was undone for another one in
 * its way, is tried again.
 */
export function statement<P extends Readonly<Record<keyof P, Parameter>>, Row>(text: string): Statement<P, Row> {
  const parts = text.split(/\{(\w+)\}/);
  const names = parts.filter((_, index) => index % 2 === 1) as (keyof P)[];
  const literals = parts.filter((_, index) => index % 2 === 0);
  // postgres.js takes this for a tagged template, and knows the statement again by it.
  const strings = Object.assign(literals, { raw: literals }) as TemplateStringsArray;
  return (sql, parameters) => {
    const run = async (): Promise<readonly Row[]> => {
      const values = names.map((name) => (parameters[name] as Parameter) ?? null);
      const rows = await onDatabase(() => whileWatched(sql, (sql as Sql)(strings, ...values)));
      return rows as unknown as readonly Row[];
    };
    return 'savepoint' in sql ? run() : despiteConflicts(run); // of a transaction, all of it is to be done again
  };
}
