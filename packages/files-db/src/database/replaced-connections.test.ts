import { once } from 'node:events';
import type { Socket } from 'node:net';

import { testDatabase } from '@coffer/fixtures';
import type { TestDatabase } from '@coffer/fixtures';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase } from '../index.ts';
import type { Database } from '../index.ts';
import { databaseProxy } from '../testing/database-proxy.ts';
import type { DatabaseProxy } from '../testing/database-proxy.ts';
import { codeOf } from '../testing/support.ts';

describe('a pool that replaces its connections', () => {
  let place: TestDatabase;
  let proxy: DatabaseProxy;
  const open = new Set<Database>();

  function pool(max: number): Database {
    const url = new URL(place.url);
    Object.assign(url, { hostname: '127.0.0.1', port: proxy.port });
    const database = connectDatabase({ url: url.href, max });
    open.add(database);
    proxy.opened = 0;
    return database;
  }
  const replace = ({ sql }: Database): void => void (sql as typeof sql & { close(): Promise<unknown> }).close();
  /** Those of all connections that are opened from now on. */
  function socketsOf({ sql }: Database): readonly Socket[] {
    const sockets: Socket[] = [];
    const options = sql.options as unknown as { socket(target: unknown): Socket };
    const { socket } = options;
    options.socket = (target) => {
      sockets.push(socket(target));
      return sockets.at(-1)!;
    };
    return sockets;
  }

  beforeAll(async () => {
    place = await testDatabase();
    proxy = await databaseProxy(place.url);
  });
  afterEach(async () => {
    for (const database of open) await database.close({ timeoutSeconds: 0 });
    open.clear();
  });
  afterAll(async () => {
    proxy.close();
    await place.drop();
  });

  it('runs what comes while those that it was opening are replaced too', async () => {
    const database = pool(1);
    const allowed = Promise.withResolvers<void>();
    proxy.delayed = allowed.promise;
    const first = codeOf(Promise.resolve(database.sql`select 1`));
    await expect.poll(() => proxy.opened).toBe(1);
    replace(database);
    allowed.resolve();
    expect(await first).toBe('resolved');
    expect(await codeOf(database.check())).toBe('resolved');
  });

  it('keeps none that it was opening, and none that keeps it from closing', async () => {
    const database = pool(2);
    await database.check();
    const allowed = Promise.withResolvers<void>();
    proxy.delayed = allowed.promise;
    await Promise.all([database.check(), database.check()]); // opens another, which both do without
    await expect.poll(() => proxy.opened).toBe(2);
    replace(database);
    allowed.resolve();
    await expect.poll(proxy.connected).toBe(0);
    await database.close({ timeoutSeconds: 3600 });
  });

  it('is told so any number of times', async () => {
    const database = pool(1);
    const sockets = socketsOf(database);
    await database.check();
    replace(database);
    const listening = sockets[0]!.listenerCount('close');
    replace(database);
    expect(sockets[0]!.listenerCount('close')).toBe(listening);
    expect(await codeOf(database.check())).toBe('resolved');
  });

  it('keeps none that was reserved and is released', async () => {
    const database = pool(1);
    const reserved = await database.sql.reserve();
    replace(database);
    expect(await codeOf(Promise.resolve(reserved`select 1`))).toBe('resolved');
    reserved.release();
    await expect.poll(proxy.connected).toBe(0);
    await database.close({ timeoutSeconds: 3600 });
  });

  it('can be closed while statements wait for one that has not quite ended', async () => {
    const database = pool(1);
    const sockets = socketsOf(database);
    await database.check();
    replace(database);
    const waiting = codeOf(database.check());
    await once(sockets[0]!, 'end');
    await database.close({ timeoutSeconds: 3600 });
    expect(await waiting).toBe('resolved');
    await expect.poll(proxy.connected).toBe(0);
  });
});
