import { chmod, rename } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { testDatabase } from '@coffer/fixtures';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import type { Answer } from './testing/send.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';

describe('health', () => {
  let api: TestApi;

  beforeAll(async () => {
    api = await startApi({ STORAGE_HEALTH_CHECK_TIMEOUT: '5' });
  });
  afterAll(() => api.stop());

  it('says that the process lives and can serve', async () => {
    expect(await api.send('GET', '/health/live')).toMatchObject({ status: 200, json: { status: 'live' } });
    const ready = await api.send('GET', '/health/ready');
    expect(ready).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store', 'content-type': 'application/json' } });
    const up = { status: 'up', latency_ms: expect.any(Number) };
    expect(ready.json).toEqual({ status: 'ready', checks: { database: up, storage: up } });
    expect(await api.send('HEAD', '/health/ready')).toMatchObject({ status: 200, text: '' });
  });

  it('says when the storage is away, and when it is back', async () => {
    await rename(api.objects, `${api.objects}.away`);
    const ready = await api.send('GET', '/health/ready');
    await rename(`${api.objects}.away`, api.objects);
    expect(ready).toMatchObject({
      status: 503,
      json: { status: 'not_ready', checks: { database: { status: 'up' }, storage: { status: 'down', message: expect.any(String) } } },
    });
    expect(ready.text).not.toContain(api.objects);
    expect(await api.send('GET', '/health/live')).toMatchObject({ status: 200 });
    expect(await api.send('GET', '/health/ready')).toMatchObject({ status: 200 });
    await chmod(api.objects, 0o700);
  });

  it('is logged when it changes, and not for each request', async () => {
    const changes = (): readonly unknown[] => api.log.filter(({ msg }) => msg === 'not ready' || msg === 'ready again');
    const before = changes().length;
    await rename(api.objects, `${api.objects}.away`);
    for (let times = 0; times < 3; times++) expect(await api.send('GET', '/health/ready')).toMatchObject({ status: 503 });
    await rename(`${api.objects}.away`, api.objects);
    for (let times = 0; times < 3; times++) expect(await api.send('GET', '/health/ready')).toMatchObject({ status: 200 });
    expect(changes().slice(before)).toMatchObject([
      { level: 40, msg: 'not ready', database: { status: 'up' }, storage: { status: 'down' } },
      { level: 30, msg: 'ready again', database: { status: 'up' }, storage: { status: 'up' } },
    ]);
  });

  it('asks the storage once for all concurrent requests', async () => {
    const { storage } = api.runtime;
    const report = { ...(await storage.healthCheck()), latencyMs: 7 };
    const both = Promise.withResolvers<void>();
    const healthCheck = vi.spyOn(storage, 'healthCheck').mockImplementation(async () => {
      await both.promise;
      return report;
    });
    let begun = 0;
    api.server.on('request', () => void (++begun === 2 && setTimeout(both.resolve, 100)));
    const answers = await Promise.all([api.send('GET', '/health/ready'), api.send('GET', '/health/ready')]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, json: { checks: { storage: { latency_ms: 7 } } } });
    expect(healthCheck).toHaveBeenCalledTimes(1);
    healthCheck.mockRestore();
  });

  it('says when the database does not answer, and what needs it is unavailable', async () => {
    const { pathname } = new URL(api.databaseUrl);
    const name = pathname.slice(1);
    const url = new URL(api.databaseUrl);
    url.pathname = '/postgres';
    const sql = postgres(url.href, { max: 1, onnotice: () => {} });
    await sql.unsafe(`alter database ${name} allow_connections false`);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
    try {
      const ready = await api.send('GET', '/health/ready');
      expect(ready).toMatchObject({
        status: 503,
        json: { status: 'not_ready', checks: { database: { status: 'down' }, storage: { status: 'up' } } },
      });
      const { admin } = await import('./testing/tokens.ts');
      const tenants = await api.send('GET', '/api/v1/admin/tenants', { headers: await admin() });
      expect(tenants).toMatchObject({
        status: 503,
        json: { code: 'storage_unavailable' },
        headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
      });
      expect(tenants.text).not.toContain(name);
      expect(ready.text).not.toContain(name);
      // Only the log says why.
      expect(api.log.filter(({ msg }) => msg === 'not ready').at(-1)).toMatchObject({
        // From a new connection, or from one that was just closed.
        err: {
          code: 'storage_unavailable',
          message: expect.stringMatching(/not currently accepting connections|database cannot be reached/) as string,
        },
      });
      expect(api.log.filter(({ msg, status }) => msg === 'request' && status === 503).at(-1)).toMatchObject({
        level: 40,
        code: 'storage_unavailable',
        err: expect.anything(),
      });
    } finally {
      await sql.unsafe(`alter database ${name} allow_connections true`);
      await sql.end();
    }
    await expect.poll(async () => (await api.send('GET', '/health/ready')).status).toBe(200);
  });

  it('says when the database takes no writes, and goes on with what is read', async () => {
    const { admin } = await import('./testing/tokens.ts');
    const headers = await admin();
    const sql = postgres(api.databaseUrl, { max: 1, onnotice: () => {} });
    const name = new URL(api.databaseUrl).pathname.slice(1);
    const makeReadOnly = async (value: 'on' | 'off'): Promise<void> => {
      await sql.begin('read write', async (transaction) => {
        await transaction.unsafe(`alter database ${name} set default_transaction_read_only = ${value}`);
      });
      await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and pid <> pg_backend_pid()`;
    };
    const database = async (): Promise<unknown> => (await api.send('GET', '/health/ready')).json.checks.database;
    const elsewhere = new URL(api.databaseUrl);
    elsewhere.pathname = '/postgres';
    const other = postgres(elsewhere.href, { max: 1, onnotice: () => {} });
    await makeReadOnly('on');
    try {
      await expect.poll(database).toMatchObject({ read_only: true });
      // While the database does not answer at all, nobody knows whether it takes writes again.
      await other.unsafe(`alter database ${name} allow_connections false`);
      await other`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
      await expect.poll(database).toMatchObject({ status: 'down' });
      await other.unsafe(`alter database ${name} allow_connections true`);
      await expect.poll(database).toMatchObject({ read_only: true });
      const ready = await api.send('GET', '/health/ready');
      expect(ready).toMatchObject({ status: 200, json: { status: 'ready', checks: { database: { status: 'up' } } } });
      expect(ready.json.checks.database.message).toBe(
        'The database is read-only: files are read, and nothing is uploaded, changed or deleted.',
      );
      expect(await api.send('GET', '/api/v1/files', { headers })).toMatchObject({ status: 200 });
      const body = JSON.stringify({ tenant_uuid: 'late', tenant_slug: 'late' });
      const json = { ...headers, 'content-type': 'application/json' };
      expect(await api.send('POST', '/api/v1/admin/tenants', { headers: json, body })).toMatchObject({
        status: 503,
        json: { code: 'storage_unavailable' },
      });
    } finally {
      await other.unsafe(`alter database ${name} allow_connections true`);
      await makeReadOnly('off');
      await Promise.all([sql.end(), other.end()]);
    }
    await expect.poll(database).toEqual({ status: 'up', latency_ms: expect.any(Number) });
    const changes = api.log.filter(({ msg }) => /database .* writes/.test(String(msg)));
    expect(changes).toMatchObject([
      { level: 40, msg: 'the database takes no writes' },
      { level: 30, msg: 'the database takes writes again' },
    ]);
  });
});

describe('health of a database that hangs', () => {
  it('is asked for once, however often and however long', async () => {
    const database = await testDatabase();
    const target = new URL(database.url);
    let isStalled = false;
    let asked = 0;
    const clients = new Set<Socket>();
    const proxy = createServer((client) => {
      clients.add(client);
      const upstream = connect({ host: target.hostname, port: Number(target.port) });
      for (const socket of [client, upstream]) socket.on('error', () => {});
      client.on('data', (data) => {
        if (isStalled) asked += 1;
        else upstream.write(data);
      });
      upstream.pipe(client);
      client.on('close', () => upstream.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = new URL(database.url);
    url.hostname = '127.0.0.1';
    url.port = String((proxy.address() as AddressInfo).port);
    const api = await startApi({ DATABASE_URL: url.href, STORAGE_HEALTH_CHECK_TIMEOUT: '0.2' });
    const ready = (): Promise<Answer> => api.send('GET', '/health/ready');
    await expect.poll(async () => (await ready()).status).toBe(200); // opening a connection may take longer than that
    isStalled = true;
    const started = performance.now();
    for (let turn = 0; turn < 3; turn++) {
      const answers = await Promise.all([ready(), ready(), ready()]);
      for (const answer of answers) expect(answer).toMatchObject({ status: 503, json: { checks: { database: { status: 'down' } } } });
    }
    expect(performance.now() - started).toBeLessThan(5000); // three times 0.2 s
    expect(asked).toBe(1);
    isStalled = false;
    for (const client of clients) client.destroy();
    await api.stop();
    proxy.close();
    await database.drop();
  });
});

describe('health of a server that is to stop', () => {
  it('says so, so that it is sent nothing new', async () => {
    const api = await startApi();
    api.beginStopping();
    expect(await api.send('GET', '/health/ready')).toMatchObject({
      status: 503,
      json: { status: 'stopping', checks: { database: { status: 'up' }, storage: { status: 'up' } } },
    });
    expect(await api.send('GET', '/health/live')).toMatchObject({ status: 200 });
    await api.stop();
  });
});

describe('health without a look at the storage', () => {
  it('does not depend on it', async () => {
    const api = await startApi({ STORAGE_HEALTH_CHECK_ENABLED: 'false' });
    expect(await api.send('GET', '/health/ready')).toMatchObject({ status: 200, json: { checks: { storage: { status: 'disabled' } } } });
    await api.stop();
  });
});
