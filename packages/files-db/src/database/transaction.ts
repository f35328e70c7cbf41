import type { Sql, TransactionSql } from 'postgres';

import { whileWatched } from './answer-watch.ts';
import { onDatabase } from './error.ts';
import { retryConflicts } from './retry-conflicts.ts';

/** Seconds: as long as a statement waits for its answer. */
const maxIdleSeconds = 30;

type Work<T> = (transaction: TransactionSql) => Promise<T>;

/**
 * Runs statements as one transaction, in which each sees what others have committed by then, even if the database or its user defaults to
 * another isolation level. `work` waits for nothing but the database, so an idle transaction means that its process or network has silently
 * gone. TCP would tell the server only after two hours, and the locks would stay until then. So the server ends a transaction that is idle
 * for too long, unless the server or its user already sets a limit. A transaction that was undone because of a conflict, or a change of the
 * tables, runs again.
 * @param work does nothing but run its statements
 * @param idleSeconds after which the server ends an idle transaction
 */
export function inTransaction<T>(sql: Sql, work: Work<T>, idleSeconds = maxIdleSeconds): Promise<T> {
  return onDatabase(() => whileWatched(sql, inLongTransaction(sql, work, idleSeconds)));
}

/** The same for statements that may take longer than one waits for an answer, such as migrations. Leaves errors as they are. */
export function inLongTransaction<T>(sql: Sql, work: Work<T>, idleSeconds = maxIdleSeconds): Promise<T> {
  return retryConflicts(async () => {
    const result = await sql.begin('isolation level read committed', async (transaction) => {
      const limiting = limitIdleTime(transaction, idleSeconds); // sent together with the first statement
      limiting.catch(() => {}); // awaited below
      const done = await work(transaction);
      await limiting;
      return [done] as const;
    });
    return result[0];
  });
}

async function limitIdleTime(transaction: TransactionSql, seconds: number): Promise<void> {
  const name = 'idle_in_transaction_session_timeout';
  await transaction`select set_config(${name}, ${`${seconds}s`}, true) where current_setting(${name}) = '0'`;
}
