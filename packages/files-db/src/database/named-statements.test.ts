import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { connectDatabase } from '../index.ts';
import type { Database } from '../index.ts';
import { codeOf, openRig } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';
import { statement } from './statement.ts';
import { inLongTransaction, inTransaction } from './transaction.ts';

type Numbered = { readonly n: number; readonly of: string };

describe('statements that the server knows by a name', () => {
  let rig: Rig;
  let database: Database;
  beforeEach(async () => {
    rig = await openRig();
    database = connectDatabase({ url: rig.url, max: 1 });
  });
  afterEach(async () => {
    await database.close({ timeoutSeconds: 0 });
    await rig.close();
  });

  const select = ['a', 'b', 'c'].map((name) => statement<{ n: number }, Numbered>(`select {n}::int as n, '${name}' as of`));
  const run = async (n: number): Promise<string> => {
    const [row, ...more] = await select[n % 3]!(database.sql, { n });
    return `${row?.n} ${row?.of} ${more.length}`;
  };
  const answers = Array.from({ length: 30 }, (_, n) => `${n} ${'abc'[n % 3]} 0`);

  it('get their own answers or none when it does not know them any more, as behind a transaction pooler', async () => {
    await Promise.all(answers.map((_, n) => run(n)));
    await database.sql.unsafe('deallocate all');
    const results = await Promise.allSettled(answers.map((_, n) => run(n)));
    for (const [n, result] of results.entries())
      expect(result).toMatchObject(
        result.status === 'fulfilled' ? { value: answers[n] } : { reason: { code: 'storage_unavailable', retryable: false } },
      );
    expect(results.map(({ status }) => status)).toContain('rejected');
    expect(await Promise.all(answers.map((_, n) => run(n)))).toEqual(answers);
  });

  it('fail with a message that says what to do about that', async () => {
    await run(1);
    await database.sql.unsafe('deallocate all');
    await expect(run(1)).rejects.toThrow('prepare=false');
    expect(await codeOf(database.check())).toBe('resolved');
  });

  it('run again where a migration has changed a column that they read', async () => {
    await rig.query('create table changing (n int, of text)');
    await rig.query(`insert into changing select n, substr('abc', n % 3 + 1, 1) from generate_series(0, 29) n`);
    const find = statement<{ n: number }, Numbered>('select n, of from changing where n = {n}::int');
    const found = async (n: number): Promise<string> => {
      const [row, ...more] = await find(database.sql, { n });
      return `${row?.n} ${row?.of} ${more.length}`;
    };
    const both = (): Promise<readonly string[]> => Promise.all(answers.map((_, n) => (n % 2 === 0 ? found(n) : run(n))));
    expect(await both()).toEqual(answers);
    await rig.query('alter table changing alter column n type int8');
    expect(await both()).toEqual(answers);
  });

  it('run again with all of their transaction', async () => {
    await rig.query('create table changing (n int)');
    const add = statement<{ n: number }, { n: string }>('insert into changing (n) values ({n}::int) returning n');
    const twice = async (): Promise<number> =>
      inTransaction(
        database.sql,
        async (transaction) => (await add(transaction, { n: 1 })).length + (await add(transaction, { n: 2 })).length,
      );
    await twice();
    await rig.query('alter table changing alter column n type int8');
    expect(await twice()).toBe(2);
    expect(await rig.query('select n from changing')).toHaveLength(4);
  });

  it('leave no connection in a transaction when its commit or rollback is one of them', async () => {
    const ending = (statements: string): Promise<string> =>
      codeOf(inLongTransaction(database.sql, async (transaction) => void (await transaction.unsafe(statements))));
    expect([await ending('select 1'), await ending('select 1 / 0')]).toEqual(['resolved', '22012']);
    expect(await ending('deallocate all')).toBe('resolved');
    expect(await ending('select 1')).toBe('26000'); // from a statement of the transaction itself
    expect([await ending('select 1'), await ending('deallocate all; select 1 / 0')]).toEqual(['resolved', '22012']);
    expect(await codeOf(database.check())).toBe('resolved');
  });

  it('run again however many connections know them', async () => {
    await rig.query('create table changing (n int)');
    await rig.query('insert into changing values (1)');
    const find = statement<Record<never, never>, { n: string }>('select n from changing');
    await using many = connectDatabase({ url: rig.url, max: 30 });
    const bothIn = async (sql: Parameters<typeof find>[0]): Promise<number> => (await find(sql, {})).length + (await find(sql, {})).length;
    const connections = Array.from({ length: 30 }, () => inTransaction(many.sql, bothIn));
    expect(new Set(await Promise.all(connections))).toEqual(new Set([2]));
    await rig.query('alter table changing alter column n type int8');
    expect(await find(many.sql, {})).toEqual([{ n: '1' }]);
    await rig.query('alter table changing alter column n type int4');
    expect(await inTransaction(many.sql, bothIn)).toBe(2);
  });
});
