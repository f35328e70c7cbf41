import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';

import { testDatabase } from '@coffer/fixtures';
import type { TestDatabase } from '@coffer/fixtures';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { connectDatabase } from '../index.ts';
import type { Database } from '../index.ts';
import { codeOf } from '../testing/support.ts';
import { statement } from './statement.ts';
import { WritableSearch } from './writable-search.ts';

const write = statement<{}, never>('insert into written values (1)');

describe('a pool of connections that are read-only', () => {
  let place: TestDatabase;
  let admin: Database;
  let pool: Database;
  beforeEach(async () => {
    place = await testDatabase();
    admin = connectDatabase({ url: place.url, max: 1 });
    await admin.sql`create table written (n int)`;
    await setReadOnly('on');
    pool = connectDatabase({ url: place.url, max: 3 });
  });
  afterEach(async () => {
    await Promise.all([pool.close(), admin.close()]);
    await place.drop();
  });

  async function setReadOnly(value: 'on' | 'off'): Promise<void> {
    await admin.sql`set default_transaction_read_only = off`;
    await admin.sql.unsafe(`alter database "${new URL(place.url).pathname.slice(1)}" set default_transaction_read_only = ${value}`);
  }
  /** Those of all connections. */
  async function processes(): Promise<ReadonlySet<unknown>> {
    const seen = new Set<unknown>();
    const all = Promise.withResolvers<void>();
    const begun = [1, 2, 3].map(() =>
      pool.sql.begin(async (sql) => {
        const [row] = await sql`select pg_backend_pid() as pid`;
        if (seen.add(row!['pid']).size === 3) all.resolve();
        await all.promise;
      }),
    );
    await Promise.all(begun);
    return seen;
  }

  it('keeps them while new ones would be so too', async () => {
    const before = await processes();
    expect(await codeOf(write(pool.sql, {}))).toBe('storage_unavailable');
    expect(await pool.check()).toEqual({ readOnly: true });
    expect(await processes()).toEqual(before);
  });

  it.each([
    ['a write fails', () => write(pool.sql, {})],
    ['a check tells', () => pool.check()],
  ])('replaces them when %s and new ones may write', async (_when, use) => {
    await processes();
    const setting = async (): Promise<unknown> => {
      const [row] = await pool.sql`select current_setting('transaction_read_only') as setting`.catch(() => []);
      return row?.['setting'];
    };
    expect(await setting()).toBe('on');
    await setReadOnly('off');
    const state = async (): Promise<unknown> => {
      await codeOf(Promise.resolve(use()));
      return setting();
    };
    await expect.poll(state, { timeout: 10_000 }).toBe('off');
    expect(await codeOf(write(pool.sql, {}))).toBe('resolved');
  });

  it('goes on to open those that were not open when it replaced the others', async () => {
    expect(await pool.check()).toEqual({ readOnly: true });
    await setReadOnly('off');
    await expect.poll(() => codeOf(write(pool.sql, {})), { timeout: 10_000 }).toBe('resolved');
    expect((await processes()).size).toBe(3);
  });

  it('lets statements and transactions that run come to their end when it replaces them', async () => {
    const before = await processes();
    const running = [
      pool.sql`select pg_sleep(1.5)`.execute(),
      pool.sql.begin(async (sql) => [await sql`select pg_sleep(0.7)`, await sql`select pg_sleep(0.7)`]),
    ].map((work) => codeOf(Promise.resolve(work)));
    await setReadOnly('off');
    await codeOf(write(pool.sql, {})); // from now on, connections are replaced
    const checks = [1, 2, 3].map(() => codeOf(pool.check()));
    expect(new Set(await Promise.all([...running, ...checks]))).toEqual(new Set(['resolved']));
    const after = await processes();
    expect([...after].filter((pid) => before.has(pid))).toEqual([]);
    expect(await codeOf(write(pool.sql, {}))).toBe('resolved');
  });
  it('are searched for no longer when the pool is closed, also while the server says nothing', async () => {
    const { hostname, port } = new URL(place.url);
    const silent = Promise.withResolvers<Socket>();
    let connections = 0;
    const server = createServer((client) => {
      if (++connections > 1) return silent.resolve(client.resume());
      const upstream = connect(Number(port), hostname).on('error', () => {});
      return client
        .on('error', () => {})
        .pipe(upstream)
        .pipe(client);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(place.url);
    url.port = String((server.address() as AddressInfo).port);
    const database = connectDatabase({ url: url.href, max: 1, connectTimeout: 600, answerTimeout: 600 });
    expect(await database.check()).toEqual({ readOnly: true });
    const closing = once(await silent.promise, 'close');
    await database.close();
    await closing;
    server.close();
  });
});

describe('the search for a connection that is not', () => {
  it('makes one attempt at a time and a second, however many statements fail', async () => {
    const place = await testDatabase();
    const { sql } = connectDatabase({ url: place.url, max: 1 });
    const end = vi.spyOn(sql, 'end');
    const connect = vi.fn<() => typeof sql>(() => sql);
    const search = new WritableSearch(connect, () => {});
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      search.begin();
      vi.advanceTimersByTime(1000);
      search.begin(); // the first attempt has not ended
      await expect.poll(() => end.mock.settledResults[0]?.type).toBe('fulfilled');
      await setImmediate();
      expect(connect).toHaveBeenCalledTimes(1);
      search.begin();
      await expect.poll(() => end.mock.settledResults[1]?.type).toBe('fulfilled');
      await setImmediate();
      search.begin(); // the second one began just now
      expect(connect).toHaveBeenCalledTimes(2);
    } finally {
      vi.useRealTimers();
    }
    await search.close();
    await place.drop();
  });

  it('has not found one when nobody answers', async () => {
    const { sql } = connectDatabase({ url: 'postgres://u@127.0.0.1:1/db' });
    const end = vi.spyOn(sql, 'end');
    const onFound = vi.fn<() => void>();
    new WritableSearch(() => sql, onFound).begin();
    await expect.poll(() => end.mock.settledResults[0]?.type).toBe('fulfilled');
    expect(onFound).not.toHaveBeenCalled();
  });
});
