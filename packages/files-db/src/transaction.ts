import type { Sql, TransactionSql } from 'postgres';

import { despiteConflicts } from './despite-conflicts.ts';

/** Seconds: as long as a statement waits for its answer. */
const mostIdle = 30;

/**
 * Runs statements as one transaction, each of which sees what others have committed by then, also where transactions of this database
 * or its user do not unless they say so. Nobody in it waits for anything but the database: a transaction that nothing comes for is one
 * whose process, or network, is gone without a word. The server would learn that from TCP after two hours, and keep its locks until
 * then, so it is told to give up, unless it or its user has a limit already. One that was undone for another one in its way, or for a
 * change of the tables, runs again.
 * @param work does nothing beside its statements
 * @param idleSeconds after which it does
 */
export function inTransaction<T>(sql: Sql, work: (transaction: TransactionSql) => Promise<T>, idleSeconds = mostIdle): Promise<T> {
  return despiteConflicts(() => once(sql, work, idleSeconds));
}

async function once<T>(sql: Sql, work: (transaction: TransactionSql) => Promise<T>, idleSeconds: number): Promise<T> {
  const result = await sql.begin('isolation level read committed', async (transaction) => {
    const limiting = limitIdleTime(transaction, idleSeconds); // sent together with the first statement
    limiting.catch(() => {}); // waited for below
    const done = await work(transaction);
    await limiting;
    return [done] as const;
  });
  return result[0];
}

async function limitIdleTime(transaction: TransactionSql, seconds: number): Promise<void> {
  const name = 'idle_in_transaction_session_timeout';
  await transaction`select set_config(${name}, ${`${seconds}s`}, true) where current_setting(${name}) = '0'`;
}
