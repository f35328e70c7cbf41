import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { testDatabase } from '@coffer/fixtures';
import { connectDatabase } from '@coffer/files-db';
import type { Database } from '@coffer/files-db';
import { getStorageService } from '@coffer/storage-core';
import type { CallContext, OperationEvent } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { parseConfig } from './config.ts';
import { createRuntime } from './create-runtime.ts';
import type { Runtime, RuntimeOptions } from './create-runtime.ts';
import { createStorage } from './create-storage.ts';
import type { Env } from './env-reader.ts';
import { StartupError } from './startup-error.ts';

const acme = { tenantUuid: 'abc-123-def', tenantSlug: 'acme' };
const beta = { tenantUuid: 'beta-1', tenantSlug: 'Beta' };

let dir = '';
let dataDir = '';
let cleanUp: (() => unknown)[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'coffer-runtime-'));
  dataDir = join(dir, 'data');
  cleanUp = [];
});
afterEach(async () => {
  for (const step of cleanUp.toReversed()) await step();
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
});

async function start(env: Env = {}, options: RuntimeOptions = {}): Promise<Runtime> {
  const runtime = await createRuntime(parseConfig({ COFFER_DATA_DIR: dataDir, ...env }), options);
  cleanUp.push(() => runtime.close());
  return runtime;
}

const serverRuns = (): boolean => existsSync(join(dataDir, 'postgres/data/postmaster.pid'));

async function databaseUrl(server: 'embedded' | 'debian' = 'embedded'): Promise<string> {
  const database = await testDatabase({ server });
  cleanUp.push(() => database.drop());
  return database.url;
}

/** A backend that leaves a file when it is closed. */
async function closingBackend(): Promise<{ readonly STORAGE_BACKEND: string; readonly closed: string }> {
  const [STORAGE_BACKEND, closed] = [join(dir, 'backend.mjs'), join(dir, 'closed')];
  await writeFile(
    STORAGE_BACKEND,
    `import { writeFile } from 'node:fs/promises';
    const work = async () => {};
    export default { name: 'acme', create: () => ({ name: 'acme', check: work, put: work, get: work, head: work, delete: work, copy: work,
      list: work, close: () => writeFile(${JSON.stringify(closed)}, '') }) };`,
  );
  return { STORAGE_BACKEND, closed };
}

const upload = { body: 'Hello', filename: 'hello.txt', contentType: 'text/plain', ownerId: 'user-1' };

describe('createRuntime', () => {
  it('wires all of Coffer on the embedded database, and finds everything again after a restart', async () => {
    const env = { STORAGE_ENABLE_MULTI_TENANCY: 'true' };
    const first = await start(env);
    expect(getStorageService()).toBe(first.storage);
    const record = await first.files.uploadFile({ ...upload, tenantContext: acme });
    expect(record).toMatchObject({ bucket: 'acme-uploads', status: 'available', sizeBytes: 5 });
    expect(serverRuns()).toBe(true);
    await Promise.all([first.close(), first.close()]);
    expect(serverRuns()).toBe(false);
    expect(() => getStorageService()).toThrow(/No storage service/);

    const second = await start(env);
    expect(await second.tenants.find('acme')).toMatchObject({ tenantUuid: 'abc-123-def', buckets: ['acme-uploads'] });
    expect(String(await second.storage.downloadFile({ bucket: record.bucket, key: record.storageKey }))).toBe('Hello');
    expect(second.generatedSecret).toEqual(first.generatedSecret);
    expect(second.generatedSecret?.toString()).toBe((await readFile(join(dataDir, 'secret'), 'utf8')).trim());
  });

  it('closes everything at the end of the block in which it is used', async () => {
    const databases: Database[] = [];
    {
      await using runtime = await createRuntime(parseConfig({ COFFER_DATA_DIR: dataDir }));
      await using own = connectDatabase({ url: await databaseUrl() });
      databases.push(runtime.database, own);
      for (const database of databases) await database.check();
    }
    for (const database of databases) await expect(database.check()).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(serverRuns()).toBe(false);
    expect(() => getStorageService()).toThrow(/No storage service/);
  });

  it.each(['embedded', 'debian'] as const)('runs on the %s server that DATABASE_URL names, and starts none', async (server) => {
    const { files, storage } = await start({ DATABASE_URL: await databaseUrl(server), STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    const [a, b] = await Promise.all([acme, beta].map((tenantContext) => files.uploadFile({ ...upload, tenantContext })));
    expect(a?.bucket).toBe('acme-uploads');
    expect(b?.bucket).toMatch(/^beta-[0-9a-f]+-uploads$/);
    expect((await storage.listBuckets()).map(({ name }) => name)).toEqual([a?.bucket, b?.bucket]);
    expect(existsSync(join(dataDir, 'postgres'))).toBe(false);
  });

  it('keeps a bucket through a change of the pattern, since the mapping wins', async () => {
    const env = { DATABASE_URL: await databaseUrl(), STORAGE_ENABLE_MULTI_TENANCY: 'true' };
    const before = await start(env);
    expect((await before.storage.resolveBucket({ tenant: acme })).bucket).toBe('acme-uploads');
    await before.close();
    const after = await start({ ...env, STORAGE_BUCKET_NAMING_PATTERN: 'new-{tenant_slug}' });
    expect(await after.storage.resolveBucket({ tenant: acme })).toEqual({ bucket: 'acme-uploads', because: 'tenant_mapping' });
    expect(await after.storage.resolveBucket({})).toEqual({ bucket: 'staging-uploads', because: 'shared' });
  });

  it('hands out URLs that its own handler serves, and lets the observer see them served', async () => {
    const events: OperationEvent[] = [];
    const server = createServer();
    const url = await listen(server);
    const runtime = await start(
      { DATABASE_URL: await databaseUrl() },
      { publicUrl: url, observer: { operation: (event) => events.push(event) } },
    );
    server.on('request', (request, response) => {
      void runtime.localHttp?.(request, response).then((handled) => handled || response.writeHead(404).end());
    });
    await runtime.storage.uploadFile({ key: 'a/b.txt', body: 'Hello' });
    const presigned = await runtime.storage.getPresignedDownloadUrl({ key: 'a/b.txt' });
    expect(presigned.url.startsWith(`${url}/local/coffer-uploads/a/b.txt?`)).toBe(true);
    expect(await (await fetch(presigned.url)).text()).toBe('Hello');
    expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
    expect(events.map(({ operation }) => operation)).toEqual(expect.arrayContaining(['upload', 'presign', 'download']));
  });

  it('has no generated secret once there is any key', async () => {
    const DATABASE_URL = await databaseUrl();
    const secret = await start({ DATABASE_URL, AUTH_JWT_SECRET: 's'.repeat(40) });
    expect(secret.generatedSecret).toBeUndefined();
    expect(existsSync(join(dataDir, 'secret'))).toBe(false);
    const keySet = await start({ DATABASE_URL, AUTH_JWKS_URL: 'https://id.example.com/keys' });
    expect(keySet.generatedSecret).toBeUndefined();
    expect((await keySet.storage.getPresignedDownloadUrl({ key: 'x' })).url).toContain('/local/');
    await secret.close();
    expect(getStorageService()).toBe(keySet.storage);
  });

  it('refuses every storage call with STORAGE_ENABLED=false, while tenants work', async () => {
    const { storage, files, tenants, tenantService } = await start({
      DATABASE_URL: await databaseUrl(),
      STORAGE_ENABLED: 'false',
      STORAGE_ENABLE_MULTI_TENANCY: 'true',
    });
    const off = { code: 'storage_not_configured' };
    await expect(storage.uploadFile({ key: 'x', body: 'x' })).rejects.toMatchObject(off);
    await expect(storage.downloadFile({ key: 'x', bucket: 'abc' })).rejects.toMatchObject(off);
    await expect(storage.listBuckets()).rejects.toMatchObject(off);
    await expect(storage.getBucketAcl('abc')).rejects.toMatchObject(off);
    await expect(files.uploadFile({ ...upload, tenantContext: acme })).rejects.toMatchObject(off);
    await expect(tenantService.provision('abc-123-def', { tenantSlug: 'acme' })).rejects.toMatchObject(off);
    expect(await tenants.resolve(beta)).toMatchObject({ tenantSlug: 'Beta' });
    expect((await storage.healthCheck()).healthy).toBe(true);
  });

  it.each([
    [
      'postgres://coffer:pg-secret@127.0.0.1:1/coffer',
      /^DATABASE_URL \(127\.0\.0\.1:1\/coffer\): The database cannot be reached\. \(ECONNREFUSED\)$/,
    ],
    [
      'postgres://coffer:pg-secret@no-such-host.invalid/coffer',
      /^DATABASE_URL \(no-such-host\.invalid\/coffer\): The database cannot be reached/,
    ],
    [
      'postgres://coffer:pg-secret@127.0.0.1:1,127.0.0.1:2/coffer',
      /^DATABASE_URL \(127\.0\.0\.1:1,127\.0\.0\.1:2\/coffer\): The database cannot be reached\. \(ECONNREFUSED\)$/,
    ],
  ])('says so when %s is down, without the password', async (DATABASE_URL, message) => {
    const starting = start({ DATABASE_URL });
    await expect(starting).rejects.toThrow(StartupError);
    await expect(starting).rejects.toThrow(message);
    await expect(starting).rejects.not.toThrow(/pg-secret/);
  });

  it('says so when the database or its user does not exist', async () => {
    const url = new URL(await databaseUrl());
    url.pathname = '/absent';
    await expect(start({ DATABASE_URL: url.href })).rejects.toThrow(/^DATABASE_URL \(.*\/absent\): .*does not exist/);
    url.password = 'wrong';
    await expect(start({ DATABASE_URL: url.href })).rejects.toThrow(/refuses the user or its password/);
  });

  it('refuses a database whose encoding cannot hold every character', async () => {
    const url = new URL(await databaseUrl());
    const owner = connectDatabase({ url: url.href, max: 1 });
    cleanUp.push(() => owner.close());
    for (const [encoding, starting] of [
      ['LATIN1', /^DATABASE_URL names a database with the encoding LATIN1; Coffer needs UTF8\.$/],
      ['SQL_ASCII', undefined], // stores what it is sent
    ] as const) {
      const name = `${url.pathname.slice(1)}_${encoding.toLowerCase()}`;
      await owner.sql.unsafe(`create database ${name} template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`);
      cleanUp.push(() => owner.sql.unsafe(`drop database ${name} with (force)`));
      const started = start({ DATABASE_URL: new URL(`/${name}`, url).href });
      if (starting === undefined) await (await started).close();
      else await expect(started).rejects.toThrow(starting);
    }
  });

  it('names a setting in the query of the URL that the database does not know or accept', async () => {
    for (const setting of ['pgbouncer=true', 'statement_timeout=soon']) {
      const starting = start({ DATABASE_URL: `${await databaseUrl()}?${setting}` });
      await expect(starting).rejects.toThrow(StartupError);
      await expect(starting).rejects.toThrow(new RegExp(`^DATABASE_URL \\(.*\\): .*parameter "${setting.split('=')[0]}".* \\(\\w{5}\\)$`));
    }
  });

  it('repeats the words of a pooler, which has one code for everything', async () => {
    const fields = 'SFATAL\0C08P01\0Mno such user: coffer\0\0';
    const size = Buffer.alloc(4);
    size.writeUInt32BE(4 + fields.length);
    const pooler = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(Buffer.concat([Buffer.from('E'), size, Buffer.from(fields)])));
    });
    pooler.listen(0, '127.0.0.1');
    await once(pooler, 'listening');
    cleanUp.push(() => pooler.close());
    const starting = start({ DATABASE_URL: `postgres://coffer:pg-secret@127.0.0.1:${(pooler.address() as AddressInfo).port}/coffer` });
    await expect(starting).rejects.toThrow(StartupError);
    await expect(starting).rejects.toThrow(/\(08P01: no such user: coffer\)$/);
  });

  it('goes on when the embedded database was killed', async () => {
    const { tenants, database } = await start();
    await tenants.create(acme);
    process.kill(Number((await readFile(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8')).split('\n')[0]), 'SIGKILL');
    await expect
      .poll(
        () =>
          database.check().then(
            () => 'up',
            () => 'down',
          ),
        { timeout: 10_000, interval: 5 },
      )
      .toBe('down');
    await expect
      .poll(
        () =>
          database.check().then(
            () => 'up',
            () => 'down',
          ),
        { timeout: 10_000 },
      )
      .toBe('up');
    expect(await tenants.find('abc-123-def')).toMatchObject(acme);
  });

  it('leaves nothing running when its last part fails', async () => {
    const { STORAGE_BACKEND, closed } = await closingBackend();
    const options = {
      get observer(): never {
        throw new Error('no observer');
      },
    };
    for (const create of [createRuntime, createStorage]) {
      await expect(create(parseConfig({ COFFER_DATA_DIR: dataDir, STORAGE_BACKEND }), options)).rejects.toThrow('no observer');
      expect(serverRuns()).toBe(false);
      expect(existsSync(closed)).toBe(true);
      await rm(closed);
    }
    expect(() => getStorageService()).toThrow(/No storage service/);
  });

  it('can be closed as soon as it is there', async () => {
    const config = parseConfig({ COFFER_DATA_DIR: dataDir });
    await createRuntime(config).then((runtime) => runtime.close());
    expect(serverRuns()).toBe(false);
    expect(await readdir(join(dataDir, 'postgres/users'))).toEqual([]);
    expect(() => getStorageService()).toThrow(/No storage service/);
  });

  it('gives up when it is told to, wherever it is, and leaves nothing running', async () => {
    const config = parseConfig({ COFFER_DATA_DIR: dataDir });
    await expect(createRuntime(config, { signal: AbortSignal.abort(new Error('not now')) })).rejects.toThrow('not now');
    await expect(createRuntime({ ...config, auth: undefined } as never)).rejects.toThrow(TypeError);
    expect(existsSync(dataDir)).toBe(false);
    await (await start()).close();
    for (const ms of [1, 10, 20, 40, 80, 160]) {
      const started = await createRuntime(config, { signal: AbortSignal.timeout(ms) }).catch((error: unknown) => error);
      if ('close' in (started as Runtime)) await (started as Runtime).close();
      else expect(started).toMatchObject({ name: 'TimeoutError' });
      expect(serverRuns()).toBe(false);
      expect(await readdir(join(dataDir, 'postgres/users'))).toEqual([]);
      expect(() => getStorageService()).toThrow(/No storage service/);
    }
  });

  it('gives up while the database that DATABASE_URL names does not answer', async () => {
    const silent = createTcpServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanUp.push(() => silent.close());
    const connected = once(silent, 'connection');
    const interrupt = new AbortController();
    const DATABASE_URL = `postgres://a:b@127.0.0.1:${(silent.address() as AddressInfo).port}/coffer`;
    const starting = createRuntime(parseConfig({ COFFER_DATA_DIR: dataDir, DATABASE_URL }), { signal: interrupt.signal });
    const [socket] = (await connected) as [Socket];
    const cut = once(socket.resume(), 'close');
    interrupt.abort(new Error('not now'));
    await expect(starting).rejects.toThrow('not now');
    await cut;
  });

  it('says so when the database goes away at any point of the start, and makes all tables the next time', async () => {
    const url = new URL(await databaseUrl());
    const { hostname, port } = url;
    let left = 0;
    const proxy = createTcpServer((client) => {
      const server = connect(Number(port), hostname);
      for (const [socket, other] of [[client, server] as const, [server, client] as const]) {
        socket.on('error', () => {}).on('close', () => other.destroy());
      }
      client.on('data', (bytes) => (left-- > 0 ? server.write(bytes) : client.destroy()));
      server.pipe(client);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    url.port = String((proxy.address() as AddressInfo).port);
    for (let messages = 1; messages < 12; messages++) {
      left = messages;
      const started = await start({ DATABASE_URL: url.href }).catch((error: unknown) => error);
      if (!(started instanceof Error)) break;
      expect(started).toMatchObject({ message: expect.stringContaining('The database cannot be reached.') });
    }
    left = Number.POSITIVE_INFINITY;
    const { tenants } = await start({ DATABASE_URL: url.href });
    await tenants.create(acme);
    proxy.close();
  });

  describe.each([
    ['remembers the tenant', false],
    ['remembers it no more', true],
  ])("when another process has deleted a tenant's bucket, and this one %s", (_whether, forgets) => {
    it.each([
      ['an upload', ({ files }: Runtime) => files.uploadFile({ ...upload, tenantContext: acme })],
      ['a form', ({ files }: Runtime) => files.createPresignedUpload({ ...upload, sizeBytes: 1, tenantContext: acme })],
    ])('creates it again for %s', async (_what, use) => {
      const env = { STORAGE_ENABLE_MULTI_TENANCY: 'true', DATABASE_URL: await databaseUrl() };
      const [other, runtime] = [await start(env), await start(env)];
      await other.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' });
      await runtime.files.uploadFile({ ...upload, tenantContext: acme });
      await other.tenantService.deleteBucket('acme-uploads', { force: true });
      if (forgets) runtime.tenants.forget(acme.tenantUuid);
      await use(runtime);
      expect(await other.storage.bucketExists('acme-uploads')).toBe(true);
    });
  });

  it("gives a tenant no bucket for a caller that leaves while it waits for another tenant's former one", async () => {
    const { storage, tenants, tenantService } = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    for (const tenant of [acme, beta]) await tenants.create(tenant);
    await tenantService.createBucket({ bucket: 'acme-uploads', tenant: beta.tenantUuid });
    await tenantService.deleteBucket('acme-uploads');
    const stray = { id: 'x', key: 'x', from: 'y', to: 'acme-uploads', sizeBytes: 1, etag: 'x', sha256: null, waits: false, tenant: acme };
    for (const use of [
      (ctx: CallContext) => storage.uploadFile({ key: 'x', body: 'x', tenantContext: acme }, ctx),
      (ctx: CallContext) => tenantService.relocateFile(stray, { keepSeconds: 0, provision: true }, ctx),
    ]) {
      const caller = new AbortController();
      const left = use({ signal: caller.signal });
      setTimeout(() => caller.abort(new Error('left')), 100);
      await expect(left).rejects.toThrow('left');
      expect(await tenants.ownerOf('acme-uploads')).toBeUndefined();
    }
  });

  it("refuses a tenant's bucket as the default or shared bucket", async () => {
    const runtime = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    expect(await runtime.tenants.bucketFor(acme)).toBe('acme-uploads');
    await runtime.close();
    for (const name of ['STORAGE_BUCKET', 'STORAGE_SHARED_BUCKET']) {
      await expect(start({ STORAGE_ENABLE_MULTI_TENANCY: 'true', [name]: 'acme-uploads' })).rejects.toMatchObject({
        name: 'ConfigError',
        mistakes: [{ variable: name, message: expect.stringContaining(acme.tenantUuid) }],
      });
    }
    expect(serverRuns()).toBe(false);
    await start({ STORAGE_ENABLED: 'false', STORAGE_BUCKET: 'acme-uploads' }); // nothing is stored there
  });

  it('leaves nothing running when one part cannot start', async () => {
    await expect(start({ STORAGE_BACKEND: '@acme/never-installed' })).rejects.toThrow(/STORAGE_BACKEND/);
    expect(serverRuns()).toBe(false);
    const { STORAGE_BACKEND, closed } = await closingBackend();
    await expect(start({ STORAGE_BACKEND, DATABASE_URL: 'postgres://a:b@127.0.0.1:1/coffer' })).rejects.toThrow(StartupError);
    expect(existsSync(closed)).toBe(true);
  });

  it('names a mistake in the configuration, even if something else fails first', async () => {
    const STORAGE_BACKEND = join(dir, 'late.mjs');
    await writeFile(STORAGE_BACKEND, `await new Promise((resolve) => setTimeout(resolve, 200)); throw new Error('no licence');`);
    await expect(start({ STORAGE_BACKEND, DATABASE_URL: 'postgres://a:b@127.0.0.1:1/coffer' })).rejects.toThrow(
      /STORAGE_BACKEND.*no licence/,
    );
  });

  it.each([
    ['is still the default one', {}],
    ['is now the shared one', { STORAGE_BUCKET: 'new-uploads', STORAGE_SHARED_BUCKET: 'coffer-uploads' }],
  ])('removes the object that a file left in a bucket that %s together with the file', async (_what, buckets) => {
    const DATABASE_URL = await databaseUrl();
    const before = await start({ DATABASE_URL });
    const file = await before.files.uploadFile({ ...upload, tenantContext: acme });
    await before.close();
    const { files, storage, tenantService } = await start({ DATABASE_URL, STORAGE_ENABLE_MULTI_TENANCY: 'true', ...buckets });
    for await (const stray of tenantService.strayFiles()) await tenantService.relocateFile(stray, { keepSeconds: 86_400, provision: true });
    const former = { bucket: 'coffer-uploads', key: file.storageKey };
    expect(await storage.fileExists(former)).toBe(true);
    await files.delete(file.id, { subject: 'root', role: 'admin' });
    expect(await storage.fileExists(former)).toBe(false);
  });
});

describe('createStorage', () => {
  it('needs no database', async () => {
    const { storage, close } = await createStorage(parseConfig({ COFFER_DATA_DIR: dataDir, STORAGE_ENABLE_MULTI_TENANCY: 'true' }));
    const object = await storage.uploadFile({ key: 'a', body: 'b', tenantContext: acme });
    expect(object.bucket).toBe('acme-uploads');
    expect(String(await storage.downloadFile({ key: 'a', tenantContext: acme }))).toBe('b');
    await close();
    expect(existsSync(join(dataDir, 'postgres'))).toBe(false);
  });

  it('stores with the configured ACL and storage class', async () => {
    const env = { COFFER_DATA_DIR: dataDir, STORAGE_DEFAULT_ACL: 'public-read', STORAGE_DEFAULT_STORAGE_CLASS: 'GLACIER_IR' };
    await using runtime = await createStorage(parseConfig(env));
    const { storage } = runtime;
    await storage.uploadFile({ key: 'a', body: 'b' });
    expect(await storage.getFileInfo({ key: 'a' })).toMatchObject({ storageClass: 'GLACIER_IR' });
    expect((await storage.getObjectAcl({ key: 'a' })).grants.map(({ permission }) => permission)).toContain('READ');
  });
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
