import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { connectDatabase } from '../index.ts';
import { lockUsage } from '../tenants/rows.ts';
import { acme, openRig, processBeside } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';
import { inLongTransaction, inTransaction } from './transaction.ts';

const readLimit = 'show idle_in_transaction_session_timeout';
interface Limit {
  readonly idle_in_transaction_session_timeout: string;
}

describe('a transaction', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await openRig();
    await rig.tenants.create(acme);
  });
  afterEach(() => rig.close());
  const limitIn = async ({ sql }: Rig['database']): Promise<string> =>
    inTransaction(sql, async (transaction) => {
      await transaction`select 1`;
      const [row] = await transaction.unsafe<Limit[]>(readLimit);
      return row!.idle_in_transaction_session_timeout;
    });

  it('does not lock a tenant for longer than the idle limit: its process may have silently gone', async () => {
    const silent = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const lost = inTransaction(
      rig.database.sql,
      async (transaction) => {
        await lockUsage(transaction, { tenant: acme.tenantUuid });
        held.resolve();
        await silent.promise; // sends nothing, as if the network were cut
        await lockUsage(transaction, { tenant: acme.tenantUuid });
      },
      1,
    );
    lost.catch(() => {}); // awaited below
    await held.promise;
    const beside = processBeside(rig);
    try {
      expect(await beside.tenants.update(acme.tenantUuid, { quotaBytes: 5000 })).toMatchObject({ quotaBytes: 5000 });
    } finally {
      silent.resolve();
      await beside.close();
    }
    await expect(lost).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it('is given up when its server says nothing any more, though nothing else waits for that server', async () => {
    const pool = connectDatabase({ url: rig.url, max: 1, answerTimeout: 0.5 });
    const lost = inTransaction(pool.sql, async (transaction) => transaction`select pg_sleep(100)`);
    await expect(lost).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    await pool.close({ timeoutSeconds: 0 });
  });

  it('may be idle for half a minute, a limit that does not outlast it', async () => {
    expect(await limitIn(rig.database)).toBe('30s');
    const limits = await Promise.all(Array.from({ length: 10 }, () => rig.query<Limit>(readLimit)));
    expect(new Set(limits.flat().map((row) => row.idle_in_transaction_session_timeout))).toEqual(new Set(['0']));
  });

  it('keeps the limit of the database', async () => {
    const [row] = await rig.query<{ name: string }>('select current_database() as name');
    await rig.query(`alter database ${row!.name} set idle_in_transaction_session_timeout = '7s'`);
    const beside = processBeside(rig); // connections made before do not notice the setting
    expect(await limitIn(beside.database)).toBe('7s');
    await beside.close();
  });

  it('runs again also where the conflict is told in the words of the server, as to a migration', async () => {
    let attempts = 0;
    await inLongTransaction(rig.database.sql, async (transaction) => {
      if (++attempts === 1) await transaction.unsafe(`do $$ begin raise sqlstate '40P01'; end $$`);
    });
    expect(attempts).toBe(2);
  });

  it('is given up at some time when it conflicts each time', async () => {
    let attempts = 0;
    const conflicting = inTransaction(rig.database.sql, async (transaction) => {
      attempts += 1;
      await transaction.unsafe(`do $$ begin raise sqlstate '40001'; end $$`);
    });
    await expect(conflicting).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(attempts).toBe(20);
  });

  it.each(['rolled back', 'committed'])('lets no statement run that comes after it was %s', async (end) => {
    const pool = connectDatabase({ url: rig.url, max: 1 });
    const ended = Promise.withResolvers<void>();
    const insert = "insert into tenants (tenant_uuid, tenant_slug) values ('late', 'late')";
    let late: Promise<unknown> | undefined;
    const transaction = pool.sql.begin(async (inside) => {
      late = ended.promise.then(() => inside.unsafe(insert));
      late.catch(() => {}); // awaited below
      await inside`select 1`;
      if (end === 'rolled back') throw new Error('given up');
    });
    await transaction.catch(() => {});
    ended.resolve();
    await expect(late).rejects.toMatchObject({ code: 'TRANSACTION_ENDED' });
    expect(await pool.sql`select 1 from tenants where tenant_uuid = 'late'`).toEqual([]);
    await pool.close();
  });

  it('keeps nothing that comes after the savepoint for which it was meant was undone', async () => {
    const pool = connectDatabase({ url: rig.url, max: 1 });
    const late: Promise<unknown>[] = [];
    await pool.sql.begin(async (inside) => {
      const ended = Promise.withResolvers<void>();
      const insertLate = async (scope: Pick<typeof inside, 'unsafe'>, name: string): Promise<void> => {
        await ended.promise;
        await scope.unsafe(`insert into tenants (tenant_uuid, tenant_slug) values ('${name}', '${name}')`);
      };
      const undone = inside.savepoint(async (outer) => {
        await outer.savepoint(async (inner) => {
          late.push(insertLate(outer, 'outer'), insertLate(inner, 'inner'));
          await inner`select 1`;
        });
        throw new Error('given up');
      });
      await expect(undone).rejects.toThrow('given up');
      ended.resolve();
      for (const one of late) await expect(one).rejects.toMatchObject({ code: 'TRANSACTION_ENDED' });
      await insertLate(inside, 'kept');
    });
    const names = await pool.sql`delete from tenants where tenant_uuid in ('outer', 'inner', 'kept') returning tenant_uuid`;
    expect([...names]).toEqual([{ tenant_uuid: 'kept' }]);
    await pool.close();
  });

  it('fails if the server undoes it because of a statement that nobody waits for', async () => {
    const pool = connectDatabase({ url: rig.url, max: 1 });
    const insert = "insert into tenants (tenant_uuid, tenant_slug) values ('twice', 'twice')";
    const transaction = pool.sql.begin(async (inside) => {
      await inside.unsafe(insert);
      inside.unsafe(insert).catch(() => {});
    });
    await expect(transaction).rejects.toMatchObject({ code: '23505' });
    const outer = pool.sql.begin(async (inside) => {
      await inside.unsafe(insert);
      void inside.savepoint((inner) => inner`select 1/0`).catch(() => {});
      await inside`select 1`; // until the savepoint is there
    });
    await expect(outer).rejects.toMatchObject({ code: 'TRANSACTION_ABORTED' });
    expect(await pool.sql`select 1 from tenants where tenant_uuid = 'twice'`).toEqual([]);
    await pool.close();
  });

  it('sets no connection aside in a pool that has been closed', async () => {
    const pool = connectDatabase({ url: rig.url });
    await pool.close();
    await expect(pool.sql.reserve()).rejects.toMatchObject({ code: 'CONNECTION_ENDED' });
  });
});
