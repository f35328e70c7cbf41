import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { startPostgres } from '@coffer/fixtures';
import type { PostgresServer } from '@coffer/fixtures';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase } from '../index.ts';
import type { Database, DatabaseOptions } from '../index.ts';
import { codeOf } from '../testing/support.ts';

/** Something that listens in place of a database. */
interface Instead {
  readonly host: string;
  readonly asked: () => number;
  close(): void;
}

async function instead(answer: (socket: Socket) => void): Promise<Instead> {
  const sockets = new Set<Socket>();
  let asked = 0;
  const server: Server = createServer((socket) => {
    asked += 1;
    sockets.add(socket.on('error', () => {}));
    answer(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const silent = (): Promise<Instead> => instead(() => {});
const closing = (): Promise<Instead> => instead((socket) => socket.once('data', () => socket.end()));
function errorResponse(fields: string): Buffer {
  return Buffer.concat([Buffer.from([69, 0, 0, 0, fields.length + 4]), Buffer.from(fields)]);
}
/** A server that is starting up or shutting down. */
const starting = (): Promise<Instead> =>
  instead((socket) =>
    socket.once('data', () => socket.end(errorResponse('SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0'))),
  );
/** A server that takes connections without saying whether it takes writes, as up to PostgreSQL 13 and behind PgBouncer. */
const asking = (answer: readonly Buffer[]): Promise<Instead> => {
  const [accepted, ready] = [Buffer.from([82, 0, 0, 0, 8, 0, 0, 0, 0]), Buffer.from([90, 0, 0, 0, 5, 73])];
  return instead((socket) =>
    socket.once('data', () => {
      socket.write(Buffer.concat([accepted, ready]));
      if (answer.length > 0) socket.on('data', () => socket.write(Buffer.concat([...answer, ready])));
    }),
  );
};
const hesitating = (): Promise<Instead> => asking([]);
const cancelling = (): Promise<Instead> => asking([errorResponse('SERROR\0VERROR\0C57014\0Mcanceling statement\0\0')]);
async function nobody(): Promise<Instead> {
  const gone = await instead(() => {});
  gone.close();
  return gone;
}

describe('a database of several hosts', () => {
  let servers: readonly PostgresServer[];
  let [one, two]: readonly string[] = [];
  const open = new Set<{ close(): unknown }>();

  /** Connects to `hosts`, which are tried in turn. */
  function through(hosts: readonly string[], options: Partial<DatabaseOptions> & { readonly query?: string } = {}): Database {
    const url = `postgres://anybody:same@${hosts.join(',')}/postgres${options.query ?? ''}`;
    const database = connectDatabase({ connectTimeout: 2, ...options, url } as DatabaseOptions);
    open.add({ close: () => database.close({ timeoutSeconds: 0 }) });
    return database;
  }
  async function listening<T extends Instead>(starts: Promise<T>): Promise<string> {
    const server = await starts;
    open.add(server);
    return server.host;
  }
  const portOf = async (database: Database): Promise<string> =>
    `127.0.0.1:${(await database.sql<{ port: string }[]>`select current_setting('port') as port`)[0]!.port}`;

  /** All servers have the same user. */
  async function startServer(): Promise<PostgresServer> {
    const server = await startPostgres();
    const admin = connectDatabase({ url: server.url, max: 1 });
    await admin.sql`create role anybody superuser login password 'same'`;
    await admin.close();
    return server;
  }

  beforeAll(async () => {
    servers = await Promise.all([startServer(), startServer()]);
    [one, two] = servers.map(({ url }) => new URL(url).host);
  });
  afterAll(async () => {
    for (const { close } of open) await close();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it('is the first host, for as long as that answers', async () => {
    const database = through([one!, two!], { max: 3, idleTimeout: 0.2 });
    for (let round = 0; round < 3; round++) {
      expect(new Set(await Promise.all([1, 2, 3].map(() => portOf(database))))).toEqual(new Set([one]));
      await delay(400); // until its idle connections are closed
    }
  });

  it.each([
    ['is down', nobody],
    ['closes what it takes', closing],
    ['says nothing', silent],
    ['is starting', starting],
    ['does not say whether it takes writes', hesitating],
    ['fails to say whether it takes writes', cancelling],
  ])('is the second host when the first %s, and stays so', async (_how, start) => {
    const first = await start();
    open.add(first);
    const database = through([first.host, two!], { max: 3 });
    expect(await Promise.all([1, 2, 3, 4].map(() => portOf(database)))).toEqual([two, two, two, two]);
    const asked = first.asked();
    const transaction = database.sql.begin(async (sql) => sql`select current_setting('port') as port`);
    expect(await transaction).toMatchObject([{ port: two!.split(':')[1] }]);
    await Promise.all([1, 2, 3].map(() => database.sql`select pg_terminate_backend(pg_backend_pid())`.catch(() => {})));
    expect(await portOf(database)).toBe(two);
    expect(first.asked()).toBe(asked);
  });

  it.each([
    ['are down', nobody],
    ['close what they take', closing],
    ['say nothing', silent],
    ['are starting', starting],
    ['do not say whether they take writes', hesitating],
    ['fail to say whether they take writes', cancelling],
  ])('is unavailable where all %s, after each was asked once', async (_how, start) => {
    const all = await Promise.all([start(), start()]);
    for (const server of all) open.add(server);
    const database = through(
      all.map(({ host }) => host),
      { max: 1, connectTimeout: 4 },
    );
    const begun = performance.now();
    await expect(database.check()).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(performance.now() - begun).toBeLessThan(7_500); // it would be 8 s if each had all of the time
    if (start !== nobody) expect(all.map(({ asked }) => asked())).toEqual([1, 1]);
    // Again, and in a transaction.
    expect(await codeOf(database.check())).toBe('storage_unavailable');
    await expect(database.sql.begin((sql) => sql`select 1`)).rejects.toThrow();
  });

  it('is one that takes writes', async () => {
    const admin = connectDatabase({ url: servers[0]!.url, max: 1 });
    await admin.sql`alter database postgres set default_transaction_read_only = on`;
    try {
      expect(await portOf(through([one!, two!]))).toBe(two);
      expect(await portOf(through([one!, two!], { query: '?target_session_attrs=any' }))).toBe(one);
      expect(await portOf(through([one!, two!], { query: '?target_session_attrs=primary' }))).toBe(one);
      const neither = through([one!, await listening(nobody())]);
      expect(await codeOf(neither.check())).toBe('storage_unavailable');
      const alone = through([one!], { query: '?target_session_attrs=read-write' });
      expect(await codeOf(alone.check())).toBe('storage_unavailable');
    } finally {
      await admin.sql`set default_transaction_read_only = off`;
      await admin.sql`alter database postgres reset default_transaction_read_only`;
      await admin.close();
    }
  });

  it('is read where none takes writes any more, and another one as soon as that takes them', async () => {
    const admins = servers.map(({ url }) => connectDatabase({ url, max: 1 }));
    const setReadOnly = async (index: number, value: 'on' | 'off'): Promise<void> => {
      const { sql } = admins[index]!;
      await sql`set default_transaction_read_only = off`;
      await sql.unsafe(`alter system set default_transaction_read_only = ${value}`);
      await sql`select pg_reload_conf()`;
    };
    const database = through([one!, two!], { max: 3 });
    try {
      expect(await Promise.all([1, 2, 3].map(() => portOf(database)))).toEqual([one, one, one]);
      await setReadOnly(1, 'on');
      await setReadOnly(0, 'on');
      await expect.poll(() => database.check()).toEqual({ readOnly: true });
      expect(await portOf(database)).toBe(one);
      await setReadOnly(1, 'off');
      await expect.poll(() => codeOf(database.check()).then(() => portOf(database)), { timeout: 10_000 }).toBe(two);
      expect(await database.check()).toEqual({ readOnly: false });
    } finally {
      await Promise.all([setReadOnly(0, 'off'), setReadOnly(1, 'off')]);
      await Promise.all(admins.map((admin) => admin.close()));
    }
  }, 30_000);

  it('ends at once while none of them answers', async () => {
    const database = through([await listening(silent()), await listening(silent())], { connectTimeout: 30 });
    const asking = codeOf(database.check());
    await delay(100);
    const begun = performance.now();
    await database.close({ timeoutSeconds: 0 });
    expect(await asking).toBe('storage_unavailable');
    expect(performance.now() - begun).toBeLessThan(15_000);
  });

  it('fails over when the first one dies under load', async () => {
    const dying = await startServer();
    const first = new URL(dying.url).host;
    const database = through([first, two!], { max: 4 });
    const seen: string[] = [];
    const failed: string[] = [];
    let isOver = false;
    const asking = Array.from({ length: 12 }, async (_, index) => {
      while (!isOver) {
        const ask = index % 3 === 0 ? database.sql.begin(async (sql) => sql`select 1`) : portOf(database);
        const told = await Promise.resolve(ask).then(
          (port) => (typeof port === 'string' ? port : undefined),
          (error: unknown) => void failed.push((error as { code: string }).code),
        );
        if (told !== undefined) seen.push(told);
        await delay(5);
      }
    });
    await delay(300);
    await dying.stop();
    const before = failed.length;
    await delay(1_500);
    const since = failed.length;
    seen.length = 0;
    await delay(500);
    isOver = true;
    await Promise.all(asking);
    expect(before).toBeLessThan(200);
    expect(failed.length).toBe(since);
    expect(new Set(seen)).toEqual(new Set([two]));
    expect(seen.length).toBeGreaterThan(0);
  }, 30_000);
});
