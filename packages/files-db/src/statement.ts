import { setTimeout as delay } from 'node:timers/promises';

import type { Sql, TransactionSql } from 'postgres';

import { whileWatched } from './answer-watch.ts';
import { databaseError, isConflict } from './database-error.ts';

export type Parameter = string | number | boolean | null | undefined;

/** Runs one statement; a parameter that is undefined is NULL. */
export type Statement<P, Row> = (sql: Sql | TransactionSql, parameters: P) => Promise<readonly Row[]>;

/** Times that a statement is tried which others are in the way of. */
const attempts = 20;

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
  return async (sql, parameters) => {
    for (let attempt = 1; ; attempt++) {
      try {
        const rows = await whileWatched(sql, (sql as Sql)(strings, ...names.map((name) => (parameters[name] as Parameter) ?? null)));
        return rows as unknown as readonly Row[];
      } catch (thrown) {
        const error = databaseError(thrown);
        if (attempt === attempts || 'savepoint' in sql || !isConflict(error)) throw error;
        await delay(Math.random() * attempt * 5);
      }
    }
  };
}
