import { testDatabase } from '@coffer/fixtures';
import type { TestDatabase } from '@coffer/fixtures';
import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase } from '../index.ts';
import type { Database } from '../index.ts';

describe('a pool with idle connections', () => {
  let place: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    place = await testDatabase();
    database = connectDatabase({ url: place.url, max: 4 });
  });
  afterAll(async () => {
    await database.close();
    await place.drop();
  });

  async function connectionOf(sql: Pick<Sql, 'unsafe'>): Promise<number> {
    const [row] = await sql.unsafe<{ pid: number }[]>('select pg_backend_pid() as pid');
    return row!.pid;
  }

  // On any other, a statement that it has not run yet takes one more round trip; and none would be idle long enough to be closed.
  it('uses the one that was used last', async () => {
    const { sql } = database;
    const opened = new Set<number>();
    const areOpen = Promise.withResolvers<void>();
    const hold = async (transaction: Pick<Sql, 'unsafe'>): Promise<void> => {
      opened.add(await connectionOf(transaction));
      if (opened.size === 4) areOpen.resolve();
      await areOpen.promise;
    };
    await Promise.all(Array.from({ length: 4 }, () => sql.begin(hold)));
    const used = new Set<number>();
    for (let count = 0; count < 8; count++) {
      used.add(await connectionOf(sql));
      await sql.begin(async (transaction) => used.add(await connectionOf(transaction)));
    }
    expect(used.size).toBe(1);
  });
});
