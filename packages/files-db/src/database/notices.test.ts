import { testDatabase } from '@coffer/fixtures';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { connectDatabase } from './database.ts';

describe('notices of the server', () => {
  let testing: Awaited<ReturnType<typeof testDatabase>>;
  const uncaught: unknown[] = [];

  beforeEach(async () => {
    testing = await testDatabase();
    uncaught.length = 0;
    process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error));
  });
  afterEach(async () => {
    process.setUncaughtExceptionCaptureCallback(null);
    await testing.drop();
  });

  // The server cuts the name while it looks at the statement, before postgres.js sends the parameters.
  const tooLong = 'x'.repeat(70);

  it('reach `onnotice` before the answer that they precede', async () => {
    const notices: string[] = [];
    await using database = connectDatabase({ url: testing.url, onnotice: ({ message }) => notices.push(message ?? '') });
    await database.sql.unsafe(`do $$ begin raise notice 'first'; raise notice 'second'; end $$`);
    expect(notices).toEqual(['first', 'second']);
  });

  it('leave every answer with its statement when `onnotice` throws', async () => {
    const failure = new Error('thrown by onnotice');
    const onnotice = (): never => {
      throw failure;
    };
    await using database = connectDatabase({ url: testing.url, max: 1, onnotice });
    const { sql } = database;
    const noticed = sql.unsafe<{ value: number }[]>(`select $1::int as value, 1 as ${tooLong}`, [1], { prepare: true });
    const others = [2, 3].map((value) => sql<{ value: number }[]>`select ${value}::int as value`);
    const answers = await Promise.all([noticed, ...others]);
    expect(answers.map(([row]) => row?.value)).toEqual([1, 2, 3]);
    expect(uncaught).toEqual([failure]);
  });

  it('do not cost a connection when `onnotice` throws while it is opened', async () => {
    await using database = connectDatabase({ url: testing.url, max: 1, connectTimeout: 1 });
    await database.sql`update pg_database set datcollversion = '0.1' where datname = current_database()`;
    const onnotice = (): never => {
      throw new Error('thrown by onnotice');
    };
    await using warned = connectDatabase({ url: testing.url, max: 1, connectTimeout: 1, onnotice });
    const [row] = await warned.sql`select 1 as value from pg_sleep(1.5)`;
    expect(row).toEqual({ value: 1 });
    expect(uncaught).toHaveLength(1);
  });
});
