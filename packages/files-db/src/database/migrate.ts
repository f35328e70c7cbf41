import type { Sql, TransactionSql } from 'postgres';

import type { Database } from './database.ts';
import { databaseError, isMissingTable, onDatabase } from './error.ts';
import { migrations } from './migrations.ts';
import { inLongTransaction } from './transaction.ts';

// An arbitrary number that nobody else locks.
const lock = 4_205_370_211;

/**
 * Brings the tables up to date, in the schema of the connection's search_path that has them, or else in the first one. One transaction
 * applies all migrations or none. Safe to call from several processes at once; takes one query when there is nothing to do.
 * @returns `newer`: names of migrations in the database that this version does not know
 * @throws storage_unavailable when the database cannot be reached or refuses
 */
export async function migrateDatabase(database: Pick<Database, 'sql'>): Promise<{ readonly newer: readonly string[] }> {
  const { sql } = database;
  try {
    const { lacking, newer } = await compare(sql);
    if (lacking.length === 0) return { newer };
    await inLongTransaction(sql, async (transaction) => {
      // A transaction's lock, not a session's: it also works behind a pooler, and is released when the process dies.
      await transaction`select pg_advisory_xact_lock(${lock})`;
      // New tables would go to the first schema of the search_path, but belong with the existing ones.
      await transaction`
        select set_config('search_path', quote_ident(nspname), true) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = to_regclass('coffer_migrations')`;
      await transaction`create table if not exists coffer_migrations (name text primary key, applied_at timestamptz not null default now())`;
      for (const { name, sql: text } of (await compare(transaction)).lacking) {
        await transaction.unsafe(text);
        await transaction`insert into coffer_migrations (name) values (${name})`;
      }
    });
    return { newer };
  } catch (error) {
    throw databaseError(error);
  }
}

/** The names of migrations that the database does not have yet. @throws storage_unavailable */
export async function pendingMigrations({ sql }: Pick<Database, 'sql'>): Promise<readonly string[]> {
  return (await onDatabase(() => compare(sql))).lacking.map(({ name }) => name);
}

async function compare(sql: Sql | TransactionSql): Promise<{ readonly lacking: typeof migrations; readonly newer: readonly string[] }> {
  try {
    const applied = await sql<{ name: string }[]>`select name from coffer_migrations`;
    const names = new Set(applied.map(({ name }) => name));
    const lacking = migrations.filter(({ name }) => !names.has(name));
    for (const { name } of migrations) names.delete(name);
    return { lacking, newer: [...names].toSorted() };
  } catch (error) {
    if (isMissingTable(error)) return { lacking: migrations, newer: [] };
    throw error;
  }
}
