import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { connectDatabase, FileService, TenantRepository, TenantService } from '../index.ts';
import type { Database } from '../index.ts';
import { keep } from '../testing/moving.ts';
import { securedProxy } from '../testing/secured-proxy.ts';
import { acme, admin, bytesOf, codeOf, openRig, upload } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';

describe('a database whose answers get lost', () => {
  let rig: Rig;
  let proxy: Server;
  let database: Database;
  let files: FileService;
  let tenants: TenantRepository;
  let isLosing = false;
  let isSilent = false;
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    rig = await openRig();
    await rig.tenants.create(acme);
    const { hostname, port } = new URL(rig.url);
    proxy = createServer((client) => {
      const server = connect(Number(port), hostname);
      for (const socket of [client, server]) sockets.add(socket.on('error', () => {}));
      client.pipe(server);
      server.on('data', (bytes) => {
        if (isSilent) return undefined;
        if (!isLosing) return client.write(bytes);
        isLosing = false;
        server.destroy();
        return client.destroy();
      });
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const url = new URL(rig.url);
    url.port = String((proxy.address() as AddressInfo).port);
    database = connectDatabase({ url: url.href, max: 1, answerTimeout: 1, connectTimeout: 1 });
    files = new FileService({ database, storage: rig.storage });
    tenants = new TenantRepository({ database, bucketNameFor: () => 'bucket', reservedBuckets: [] });
  });
  afterAll(async () => {
    await database.close();
    for (const socket of sockets) socket.destroy();
    proxy.close();
    await rig.close();
  });

  it('keeps no reservation or row for uploads that were told of a failure', async () => {
    const through = { ...rig, files };
    const uploads = () => Promise.all(['one', 'two', 'three'].map((text) => codeOf(upload(through, text, { tenantContext: acme }))));
    expect(await uploads()).toEqual(['resolved', 'resolved', 'resolved']); // prepares the statements
    isLosing = true;
    const codes = await uploads();
    expect(codes).toEqual(['storage_unavailable', 'storage_unavailable', 'storage_unavailable']);
    expect(await rig.usage(acme)).toMatchObject({ reserved: 0 });
    expect(await rig.query(`select 1 from files where status <> 'available'`)).toEqual([]);
  });

  it('tells of a file that moved to the bucket of its tenant, although the answer to the last statement was lost', async () => {
    const tenantService = new TenantService({ database, tenants, storage: rig.storage });
    await rig.storage.createBucket('former');
    for (const loses of [false, true]) {
      const file = await upload(rig, 'moves', { tenantContext: acme });
      const key = file.storageKey;
      await rig.storage.moveFile({ source: { bucket: file.bucket, key }, destination: { bucket: 'former', key } });
      await rig.query(`update files set bucket = 'former' where id = '${file.id}'`);
      const { getFileInfo } = rig.storage;
      vi.spyOn(rig.storage, 'getFileInfo').mockImplementationOnce(async (...call) => {
        isLosing = loses; // of the copy: what follows is the statement that records its place
        return getFileInfo.apply(rig.storage, call);
      });
      for await (const stray of tenantService.strayFiles()) expect(await tenantService.relocateFile(stray, keep)).toBe('moved');
      expect(isLosing).toBe(false);
      expect(await bytesOf(rig, await rig.files.get(file.id, admin))).toBe('moves');
      await rig.files.delete(file.id, admin);
    }
  });

  it('is given up when it says nothing any more, and found again', async () => {
    const through = { ...rig, files };
    const uploads = () => Promise.all(['four', 'five', 'six'].map((text) => codeOf(upload(through, text, { tenantContext: acme }))));
    isSilent = true;
    expect(new Set(await uploads())).toEqual(new Set(['storage_unavailable']));
    await expect(database.check()).rejects.toThrow('The database cannot be reached.');
    isSilent = false;
    await database.check();
    isSilent = true;
    // With other statements queued, and in a transaction.
    const looks = Array.from({ length: 5 }, (_, index) => delay(index * 300).then(() => codeOf(tenants.find(`unknown-${index}`))));
    const create = codeOf(tenants.create({ tenantUuid: 'another', tenantSlug: 'another' }));
    expect(new Set(await Promise.all([...looks, create]))).toEqual(new Set(['storage_unavailable']));
    isSilent = false;
    expect(await uploads()).toEqual(['resolved', 'resolved', 'resolved']);
  });

  it('is found again after all connections ended at once, with statements about to be sent', async () => {
    const url = new URL(rig.url);
    url.port = String((proxy.address() as AddressInfo).port);
    const [max, connectTimeout] = [6, 5];
    const pool = connectDatabase({ url: url.href, max, connectTimeout });
    const everywhere = (): Promise<unknown> => Promise.all(Array.from({ length: max }, () => pool.sql`select pg_sleep(0.1)`));
    await everywhere();
    // After a lost answer, asks again at once, on a connection that has not noticed yet that it is lost, too.
    const again = async (): Promise<void> => {
      const rows = await pool.sql`select 1`.catch(() => undefined);
      expect(rows?.length ?? 1).toBe(1);
    };
    const asking = Array.from({ length: max / 2 }, () => pool.sql`select pg_sleep(60)`.then(again, again));
    await delay(100);
    for (const socket of sockets) socket.resetAndDestroy();
    await Promise.all(asking);
    await delay(100); // until all of them have noticed
    const begun = performance.now();
    await everywhere();
    expect(performance.now() - begun).toBeLessThan(connectTimeout * 900);
    await pool.close();
  });

  it.each([
    ['closes', (socket: Socket) => socket.end()],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
  ])('fails only the running statement when it %s the connection of a transaction', async (_how, end) => {
    const url = new URL(rig.url);
    url.port = String((proxy.address() as AddressInfo).port);
    const pool = connectDatabase({ url: url.href, max: 2 });
    const transactions = [1, 2].map(() => pool.sql.begin((transaction) => transaction`select pg_sleep(60)`).catch(() => 'failed'));
    await delay(200);
    for (const socket of sockets) end(socket);
    expect(await Promise.all(transactions)).toEqual(['failed', 'failed']);
    await delay(100);
    expect(await Promise.all([1, 2, 3].map(() => pool.sql`select 1`))).toHaveLength(3);
    await pool.close();
  });

  it('does not run the rest of a transaction whose connection is gone within another transaction', async () => {
    const url = new URL(rig.url);
    url.port = String((proxy.address() as AddressInfo).port);
    const pool = connectDatabase({ url: url.href, max: 1 });
    const ended = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const lost = pool.sql.begin(async (transaction) => {
      await transaction`select 1`;
      begun.resolve();
      await ended.promise;
      await transaction`select set_config('coffer.said', 'by the first', false)`;
    });
    lost.catch(() => {}); // awaited below
    await begun.promise;
    for (const socket of sockets) socket.resetAndDestroy();
    await expect(lost).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    const said = await pool.sql.begin(async (transaction) => {
      await transaction`select 1`;
      ended.resolve();
      await delay(100);
      return transaction`select current_setting('coffer.said', true) as said`;
    });
    expect(said).toEqual([{ said: null }]);
    await pool.close();
  });

  it('mixes nothing of an answer that was cut off into the next one', async () => {
    const pool = connectDatabase({ url: rig.url, max: 1 });
    // Ends its own connection after some of the rows have been sent.
    const cut = pool.sql`select n, case when n = 5 then pg_terminate_backend(pg_backend_pid()) end from generate_series(1, 9) as n`;
    await expect(cut).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    const rows = await pool.sql`select 'whole' as answer`;
    expect([...rows]).toEqual([{ answer: 'whole' }]);
    await pool.close();
  });

  it('mixes nothing of an answer that ended in an error into the next one', async () => {
    const pool = connectDatabase({ url: rig.url, max: 1 });
    await expect(pool.sql`select 1 / (5 - n) from generate_series(1, 9) as n`).rejects.toMatchObject({ code: '22012' });
    const rows = await pool.sql`select 'whole' as answer`;
    expect([...rows]).toEqual([{ answer: 'whole' }]);
    await pool.close();
  });

  it('gives each statement its own answer when one of them cannot be sent', async () => {
    const pool = connectDatabase({ url: rig.url, max: 1 });
    await pool.check();
    const first = pool.sql`select pg_sleep(0.1), 'first' as answer`.execute();
    const impossible = pool.sql`select ${undefined as unknown as string}`.execute();
    const others = ['second', 'third'].map((answer) => pool.sql.unsafe(`select '${answer}' as answer`).execute());
    await expect(impossible).rejects.toMatchObject({ code: 'UNDEFINED_VALUE' });
    const answers = await Promise.all([first, ...others]);
    expect(answers.map(([row]) => (row as { answer: string }).answer)).toEqual(['first', 'second', 'third']);
    await pool.close();
  });

  it.each([1, 2])('begins transactions behind any number of statements, with a pool of %i', async (max) => {
    const pool = connectDatabase({ url: rig.url, max });
    const short = (): PromiseLike<unknown> => pool.sql`select 1`.execute();
    await Promise.all(Array.from({ length: max * 3 }, short)); // from now on, it is sent while others are not answered yet
    for (let behind = 98; behind <= 101; behind++) {
      const long = Array.from({ length: max }, () => pool.sql`select pg_sleep(0.1)`.execute());
      const statements = Array.from({ length: behind * max }, short);
      const numbers = Array.from({ length: max * 2 }, (_, n) => n);
      const transactions = numbers.map((n) => pool.sql.begin((inside) => inside`select ${n}::int as n`));
      expect((await Promise.all(transactions)).map(([row]) => row?.['n'])).toEqual(numbers);
      await Promise.all([...long, ...statements]);
    }
    await pool.close();
  });

  it('keeps nothing of the statements that it has answered while some of its connections are never used up', async () => {
    const pool = connectDatabase({ url: rig.url, max: 3 });
    await Promise.all([1, 2, 3].map(() => pool.sql`select pg_sleep(0.1)`));
    const looked = vi.spyOn(Array.prototype, 'indexOf');
    for (let time = 0; time < 300; time++) await pool.sql`select 1`;
    const longest = Math.max(...looked.mock.contexts.map((list) => (list as unknown[]).length));
    looked.mockRestore();
    expect(longest).toBeLessThan(20);
    await pool.close();
  });

  it('is left at once by a pool that is closed while it says nothing, also in a transaction', async () => {
    const url = new URL(rig.url);
    url.port = String((proxy.address() as AddressInfo).port);
    const pool = connectDatabase({ url: url.href, max: 2 });
    const others = new Set(sockets);
    const [begun, goesOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const transaction = pool.sql.begin(async (inside) => {
      await inside`select 1`;
      begun.resolve();
      await goesOn.promise;
      await inside`select ${1}::int`; // its parameters are sent when the server has said of which type they are
    });
    transaction.catch(() => {}); // awaited below
    await pool.check();
    await begun.promise;
    isSilent = true;
    goesOn.resolve();
    const asking = codeOf(pool.check());
    await pool.close({ timeoutSeconds: 0.2 });
    expect(await asking).toBe('storage_unavailable');
    await expect(transaction).rejects.toMatchObject({ code: expect.stringMatching(/^CONNECTION_/) as string });
    await expect.poll(() => [...sockets].every((socket) => others.has(socket) || socket.destroyed)).toBe(true);
    isSilent = false;
  });

  it('is given up in the middle of a transaction, also with TLS', async () => {
    const secured = await securedProxy(rig.url);
    const url = new URL(rig.url);
    url.port = secured.port;
    const pool = connectDatabase({ url: `${url.href}?sslmode=require`, max: 1, answerTimeout: 0.5 });
    const transaction = pool.sql.begin((inside) => inside`select pg_sleep(10)`);
    transaction.catch(() => {}); // awaited below
    const asking = pool.check();
    await expect(transaction).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    await asking;
    await pool.close();
    await secured.close();
  });

  it('runs nothing else in a transaction whose answer arrives before the socket knows that all of the question was sent', async () => {
    const secured = await securedProxy(rig.url);
    const url = new URL(rig.url);
    url.port = secured.port;
    const pool = connectDatabase({ url: `${url.href}?sslmode=require`, max: 1 });
    const saidOf = (sql: Pick<typeof pool.sql, 'unsafe'>): PromiseLike<unknown> =>
      sql.unsafe(`select current_setting('coffer.said', true) as said`).execute();
    const others = await pool.sql.begin(async (inside) => {
      await inside`select set_config('coffer.said', 'inside', true)`;
      const long = 'x'.repeat(100_000); // more than a socket takes at once
      await inside`select length(${long}::text)`;
      await delay(1); // TLS tells of what a timer has sent after the answers that are there by then
      const asking = inside`select length(${long}::text)`.execute();
      await Promise.resolve().then(() => {}); // until it was sent
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      await asking;
      await delay(1); // until TLS has told
      const outside = saidOf(pool.sql);
      expect([...((await saidOf(inside)) as object[])]).toEqual([{ said: 'inside' }]);
      return [outside] as const;
    });
    expect([...((await others[0]) as object[])]).toEqual([{ said: '' }]);
    await pool.close();
    await secured.close();
  });

  it('is not tried forever when something accepts its connections and closes them', async () => {
    const closing = createServer((socket) => socket.once('data', () => socket.end())).listen(0, '127.0.0.1');
    await once(closing, 'listening');
    const { port } = closing.address() as AddressInfo;
    const pool = connectDatabase({ url: `postgres://who@127.0.0.1:${port}/what`, max: 1 });
    await expect(pool.sql`select 1`).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    await expect(pool.check()).rejects.toMatchObject({ code: 'storage_unavailable' });
    await pool.close();
    closing.close();
  });

  it('is told to be out of reach to everybody where no socket can be made for it', async () => {
    const pool = connectDatabase({ host: '127.0.0.1', port: 65_536, database: 'what', user: 'who', max: 1 });
    for (let time = 0; time < 2; time++) {
      const asked = await Promise.allSettled([pool.sql`select 1`, pool.sql.begin((sql) => sql`select 1`)]);
      for (const answer of asked) expect(answer).toMatchObject({ reason: { code: 'ERR_SOCKET_BAD_PORT' } });
    }
    await pool.close();
  });

  it('is tried once, not for each waiting call, when nobody answers within the connect timeout', async () => {
    let times = 0;
    const mute = createServer((socket) => {
      times += 1;
      sockets.add(socket.on('error', () => {}));
    }).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    const pool = connectDatabase({ url: `postgres://who@127.0.0.1:${port}/what`, max: 2, connectTimeout: 0.2 });
    const codes = await Promise.all(Array.from({ length: 30 }, () => codeOf(pool.check())));
    expect(new Set(codes)).toEqual(new Set(['storage_unavailable']));
    expect(times).toBeLessThan(6);
    await pool.close();
    mute.close();
  });

  it('lets calls wait for other connections when one cannot be reopened', async () => {
    const url = new URL(rig.url);
    const { hostname, port } = url;
    const mine: Socket[] = [];
    let isFull = false;
    let refused = 0;
    const full = createServer((client) => {
      client.on('error', () => {});
      if (isFull) {
        refused += 1;
        return client.destroy();
      }
      const server = connect(Number(port), hostname).on('error', () => {});
      mine.push(client);
      return client.pipe(server).pipe(client);
    }).listen(0, '127.0.0.1');
    await once(full, 'listening');
    url.port = String((full.address() as AddressInfo).port);
    const pool = connectDatabase({ url: url.href, max: 2, connectTimeout: 0.5 });
    const begun = [0, 1].map(() => Promise.withResolvers<void>());
    const released = Promise.withResolvers<void>();
    const held = begun.map(({ resolve }) =>
      pool.sql
        .begin(async (transaction) => {
          await transaction`select 1`;
          resolve();
          await released.promise;
        })
        .catch(() => {}),
    );
    await Promise.all(begun.map(({ promise }) => promise));
    const codes = Array.from({ length: 20 }, () => codeOf(pool.check()));
    await delay(600); // until all of them have waited longer than a connection may take
    isFull = true;
    mine.find((socket) => !socket.destroyed)!.destroy(); // one may have taken too long
    await expect.poll(() => refused).toBeGreaterThan(0);
    released.resolve();
    expect(new Set(await Promise.all(codes))).toEqual(new Set(['resolved']));
    await Promise.all(held);
    await pool.close();
    full.close();
  });
});
