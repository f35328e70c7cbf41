import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { testDatabase } from '@coffer/fixtures';
import type { TestDatabase } from '@coffer/fixtures';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase } from '../index.ts';
import type { Database, DatabaseOptions } from '../index.ts';
import { databaseProxy } from '../testing/database-proxy.ts';
import type { DatabaseProxy } from '../testing/database-proxy.ts';
import { codeOf } from '../testing/support.ts';

describe('a database that refuses more connections', () => {
  const role = `coffer_test_${randomBytes(8).toString('hex')}`;
  let holder: TestDatabase;
  let admin: Database;
  let proxy: DatabaseProxy;
  const open = new Set<Database>();

  const limitTo = (connections: number): PromiseLike<unknown> => admin.sql.unsafe(`alter role ${role} connection limit ${connections}`);
  /** A pool that is allowed no more than some of its connections. */
  async function pool(limit: number, options: Partial<DatabaseOptions> = {}): Promise<Database> {
    await limitTo(limit);
    const url = new URL(holder.url);
    Object.assign(url, { username: role, password: 'any', port: proxy.port });
    const database = connectDatabase({ max: 6, ...options, url: url.href } as DatabaseOptions);
    open.add(database);
    proxy.opened = 0;
    return database;
  }
  /** Keeps a connection in a transaction until it is let go. */
  async function held({ sql }: Database): Promise<() => Promise<void>> {
    const begun = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const transaction = sql.begin(async (inside) => {
      await inside`select 1`;
      begun.resolve();
      await released.promise;
    });
    await Promise.race([begun.promise, transaction]);
    return async () => {
      released.resolve();
      await transaction;
    };
  }
  const count = async (): Promise<unknown> => (await admin.sql`select count(*)::int as n from done`)[0]?.['n'];

  beforeAll(async () => {
    holder = await testDatabase();
    admin = connectDatabase({ url: holder.url, max: 1 });
    await admin.sql.unsafe(`create role ${role} login password 'any'; create table done (n int); grant all on done to ${role}`);
    proxy = await databaseProxy(holder.url);
  });
  afterEach(async () => {
    for (const database of open) await database.close({ timeoutSeconds: 0 });
    open.clear();
    // The server still counts a connection that has been closed until its process has ended.
    await expect.poll(() => admin.sql`select pid from pg_stat_activity where usename = ${role}`, { timeout: 10_000 }).toEqual([]);
    await admin.sql`truncate done`;
  });
  afterAll(async () => {
    proxy.close();
    await admin.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
    await admin.close();
    await holder.drop();
  });

  it('answers all on those that it has opened, each once', async () => {
    const { sql } = await pool(2);
    await sql`select 1`;
    const insert = (n: number): PromiseLike<unknown> =>
      n % 3 === 0
        ? sql.begin(async (inside) => {
            await inside`insert into done values (${n})`;
            await inside`select pg_sleep(0.01)`;
          })
        : sql`insert into done values (${n})`;
    for (let round = 1; round <= 3; round++) {
      await Promise.all(Array.from({ length: 40 }, (_, n) => insert(n)));
      expect(await count()).toBe(round * 40);
    }
  });

  it('lets all wait for a connection that is still being opened', async () => {
    const database = await pool(0);
    const allowed = Promise.withResolvers<void>();
    proxy.delayed = allowed.promise;
    const asking = Array.from({ length: 6 }, () => codeOf(database.check()));
    await expect.poll(() => proxy.opened).toBe(6);
    await delay(300); // by when five are refused
    await limitTo(1);
    allowed.resolve();
    expect(new Set(await Promise.all(asking))).toEqual(new Set(['resolved']));
  });

  it('lets all wait for a connection that is still being opened when the pool is closed', async () => {
    const database = await pool(0);
    const allowed = Promise.withResolvers<void>();
    proxy.delayed = allowed.promise;
    const asking = Array.from({ length: 6 }, () => codeOf(database.check()));
    await expect.poll(() => proxy.opened).toBe(6);
    const closing = database.close({ timeoutSeconds: 3600 });
    await delay(300); // by when all others are refused
    await limitTo(1);
    allowed.resolve();
    expect(new Set(await Promise.all(asking))).toEqual(new Set(['resolved']));
    await closing;
    await expect.poll(proxy.connected).toBe(0);
  });

  it('lets a statement and a transaction wait for the one that is open, in the order in which they came', async () => {
    const database = await pool(1);
    const release = await held(database);
    const answered: number[] = [];
    const asking = [1, 2, 3, 4, 5, 6, 7, 8].map(async (n) => {
      await delay(n * 30);
      await (n % 2 === 0 ? database.sql.begin((inside) => inside`select ${n}`) : database.sql`select ${n}`);
      answered.push(n);
    });
    await expect.poll(() => proxy.opened).toBeGreaterThan(5);
    await delay(400); // by when all of them wait
    expect(answered).toEqual([]);
    await release();
    await Promise.all(asking);
    expect(answered).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('lets all wait for one that still runs its first statement', async () => {
    const { sql } = await pool(1);
    const first = sql`select pg_sleep(1.5)`;
    first.catch(() => {}); // awaited below
    await expect.poll(() => admin.sql`select from pg_stat_activity where usename = ${role} and state = 'active'`).toHaveLength(1);
    const asking = Array.from({ length: 60 }, async (_, n) => {
      await delay(n * 20);
      return codeOf(sql`select 1`);
    });
    expect(new Set(await Promise.all(asking))).toEqual(new Set(['resolved']));
    await first;
  });

  it('lets nobody wait behind those who come later', async () => {
    const { sql } = await pool(1, { max: 2 });
    const ask = (): PromiseLike<unknown> => sql`select pg_sleep(0.005)`;
    await ask(); // from now on, it is sent while others are not answered yet
    const answered = Array.from({ length: 8 }, () => 0);
    const until = performance.now() + 2000;
    const asking = answered.map(async (_, n) => {
      await delay(n * 20);
      for (; performance.now() < until; answered[n]! += 1) await ask();
    });
    await Promise.all(asking);
    for (const count of answered) expect(count).toBeGreaterThan(Math.max(...answered) / 4);
  });

  it('is asked again for whoever waits, and only now and then', async () => {
    const database = await pool(1);
    const release = await held(database);
    const asking = Array.from({ length: 60 }, async () => {
      await delay(Math.random() * 1500);
      return codeOf(database.check());
    });
    await delay(2000);
    expect(proxy.opened).toBeLessThan(30); // of 60 and more
    await limitTo(2);
    expect(new Set(await Promise.all(asking))).toEqual(new Set(['resolved']));
    await release();
  });

  it('is unavailable while it has opened none', async () => {
    const database = await pool(0);
    const causes = await Promise.all(Array.from({ length: 30 }, () => database.check().catch((error: unknown) => error)));
    for (const cause of causes) expect(cause).toMatchObject({ code: 'storage_unavailable', cause: { code: '53300' } });
    await expect(held(database)).rejects.toMatchObject({ code: '53300' });
    await limitTo(1);
    expect(await codeOf(database.check())).toBe('resolved');
  });

  it('is unavailable to whoever waits once those that were open have ended', async () => {
    const database = await pool(1);
    const release = await held(database);
    const asking = Array.from({ length: 10 }, () => database.check().catch((error: unknown) => error));
    await expect.poll(() => proxy.opened).toBeGreaterThan(5);
    await delay(100);
    await limitTo(0);
    await admin.sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role}`;
    for (const cause of await Promise.all(asking)) expect(cause).toMatchObject({ code: 'storage_unavailable', cause: { code: '53300' } });
    await expect(release()).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('does not keep a pool from closing that it refuses', async () => {
    const database = await pool(1);
    const allowed = Promise.withResolvers<void>();
    proxy.delayed = allowed.promise;
    const asking = codeOf(database.check());
    await expect.poll(() => proxy.opened).toBe(1);
    await limitTo(0);
    const closing = database.close({ timeoutSeconds: 3600 });
    allowed.resolve();
    expect(await asking).toBe('storage_unavailable');
    await closing;
  });

  it('answers those who wait before the pool is closed, and leaves no connection open', async () => {
    const database = await pool(1);
    const release = await held(database);
    const asking = Array.from({ length: 10 }, () => codeOf(database.check()));
    await expect.poll(() => proxy.opened).toBeGreaterThan(5);
    await delay(100);
    const closing = database.close({ timeoutSeconds: 3600 });
    await release();
    await closing;
    expect(new Set(await Promise.all(asking))).toEqual(new Set(['resolved']));
    await expect.poll(proxy.connected).toBe(0);
  });

  it('leaves no connection that was being opened when the pool was closed', async () => {
    const database = await pool(1);
    const asking = codeOf(database.check());
    await database.close({ timeoutSeconds: 0 });
    expect(await asking).toBe('storage_unavailable');
    await expect.poll(proxy.connected).toBe(0);
  });

  it('leaves nobody waiting when the pool is closed', async () => {
    const database = await pool(1);
    const release = await held(database);
    const asking = Array.from({ length: 10 }, () => codeOf(database.check()));
    await expect.poll(() => proxy.opened).toBeGreaterThan(5);
    await delay(100);
    await database.close({ timeoutSeconds: 0.2 });
    expect(new Set(await Promise.all(asking))).toEqual(new Set(['storage_unavailable']));
    await expect(release()).rejects.toThrow();
  });
});
