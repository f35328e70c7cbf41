import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';

import { startS3, testDatabase } from '@coffer/fixtures';
import type { TestDatabase } from '@coffer/fixtures';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { freePort } from './listen.ts';
import { fileForm } from './testing/files.ts';
import { RawConnection } from './testing/raw-http.ts';
import { send } from './testing/send.ts';
import type { Answer } from './testing/send.ts';
import { buildServer, dataDirectory, ServerProcess } from './testing/server-process.ts';
import { acme, as, secret } from './testing/tokens.ts';

/** V8's old space as the server's metrics report it: bytes in use, and full collections of the heap so far. */
async function oldSpace(metrics: string): Promise<{ readonly bytes: number; readonly collections: number }> {
  const { text } = await send(metrics, 'GET', '/metrics');
  const value = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  return {
    bytes: Number(value(/^nodejs_heap_space_size_used_bytes\{space="old"\} (\S+)$/m)),
    collections: Number(value(/^nodejs_gc_duration_seconds_count\{kind="major"\} (\S+)$/m) ?? 0), // absent before the first one
  };
}

const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

describe('the server as a process', () => {
  let database: TestDatabase;
  const started: ServerProcess[] = [];
  const run = (env: Record<string, string>): ServerProcess => {
    const server = new ServerProcess(env);
    started.push(server);
    return server;
  };

  beforeAll(async () => {
    [database] = await Promise.all([testDatabase(), buildServer()]);
  });
  afterAll(async () => {
    for (const { child } of started) child.kill('SIGKILL');
    await database.drop();
  });

  it.each(['20.20.2', '22.21.9', '22.22.0'])('says on Node %s that it needs a newer one', async (node) => {
    // An older V8 reports flags that it does not know, which must not come first.
    const old = `import { syncBuiltinESMExports } from 'node:module';
      import v8 from 'node:v8';
      v8.setFlagsFromString = (flag) => process.stderr.write(\`Error: unrecognized flag \${flag}\\n\`);
      syncBuiltinESMExports();
      Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${node}' } })`;
    const server = run({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(old)}`, PORT: 'none' });
    expect(await server.exited).toBe(1);
    expect([server.stdout, server.stderr]).toEqual(['', `Coffer needs Node.js 22.22.1 or newer; this is ${node}.\n`]);
  });

  it('names every mistake in its configuration, and no secret, and exits with 2', async () => {
    const server = run({
      STORAGE_BACKEND: 'gcs',
      PORT: 'eighty',
      AUTH_JWT_SECRET: 'too-short-secret',
      STORAGE_BUCKET_NAMING_PATTERN: 'uploads',
      STORAGE_S3_ACCESS_KEY: 'a-key-that-is-secret',
    });
    expect(await server.exited).toBe(2);
    for (const name of ['STORAGE_BACKEND', 'PORT', 'AUTH_JWT_SECRET', 'STORAGE_BUCKET_NAMING_PATTERN', 'STORAGE_S3_SECRET_KEY'])
      expect(server.stderr).toContain(name);
    for (const secret of ['too-short-secret', 'a-key-that-is-secret', '    at '])
      expect(server.stderr + server.stdout).not.toContain(secret);
  });

  it('listens on nothing but loopback with a secret that it made itself', async () => {
    const server = run({ HOST: '0.0.0.0' });
    expect(await server.exited).toBe(2);
    expect(server.stderr).toContain('HOST');
    expect(server.stderr).toContain('AUTH_JWT_SECRET');
  });

  it.each([
    ['gcs', /STORAGE_BACKEND/],
    ['no-such-module', /STORAGE_BACKEND/],
  ])('says that there is no backend %s', async (backend, message) => {
    const data = await dataDirectory();
    const server = run({ STORAGE_BACKEND: backend, COFFER_DATA_DIR: data.path, DATABASE_URL: database.url });
    expect(await server.exited).toBe(2);
    expect(server.stderr).toMatch(message);
    await data.remove();
  });

  it('says in a sentence what keeps it from starting, and exits with 1', async () => {
    const data = await dataDirectory();
    const busy = createServer();
    await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
    const { port } = busy.address() as AddressInfo;
    const onPort = run({ PORT: String(port), COFFER_DATA_DIR: data.path, DATABASE_URL: database.url });
    const onMetrics = run({ PORT: '0', METRICS_PORT: String(port), COFFER_DATA_DIR: data.path, DATABASE_URL: database.url });
    const noDatabase = run({
      PORT: '0',
      COFFER_DATA_DIR: data.path,
      DATABASE_URL: `postgres://user:top-secret@127.0.0.1:${port === 1 ? 2 : 1}/db`,
    });
    const noAddress = run({ PORT: '0', HOST: '203.0.113.5', AUTH_JWT_SECRET: 'x'.repeat(32), DATABASE_URL: database.url });
    for (const server of [onPort, onMetrics, noDatabase, noAddress]) {
      expect(await server.exited).toBe(1);
      expect(server.stderr.trim().split('\n')).toHaveLength(1);
      expect(server.stderr).not.toMatch(/top-secret| at /);
    }
    expect(onPort.stderr).toContain(`Port ${port} on 127.0.0.1 is in use.`);
    expect(onMetrics.stderr).toContain('METRICS_PORT=');
    expect(noDatabase.stderr).toContain('DATABASE_URL');
    expect(noAddress.stderr).toContain('HOST=203.0.113.5 is no address of this machine.');
    busy.close();
    await data.remove();
  });

  it('leaves no database running that it started when it cannot listen', async () => {
    const data = await dataDirectory();
    const busy = createServer();
    await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
    const { port } = busy.address() as AddressInfo;
    const server = run({ PORT: String(port), COFFER_DATA_DIR: data.path });
    expect(await server.exited).toBe(1);
    expect(server.stderr).toContain('is in use');
    const left = await readdir(data.path, { recursive: true });
    expect(left.filter((name) => name.endsWith('PG_VERSION'))).not.toEqual([]);
    expect(left.filter((name) => name.endsWith('postmaster.pid'))).toEqual([]);
    busy.close();
    await data.remove();
  }, 60_000);

  it('works out of the box, finishes what is under way when asked to stop, and goes on where it ended', async () => {
    const data = await dataDirectory();
    const env = { PORT: '0', METRICS_PORT: '0', COFFER_DATA_DIR: data.path };
    const first = run(env);
    const url = await first.listening();
    for (let waited = 0; first.banner('COFFER_TOKEN') === '' && waited < 5000; waited += 20)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const tenant = bearer(first.banner('COFFER_TOKEN'));
    const admin = bearer(first.banner('COFFER_ADMIN_TOKEN'));
    expect(first.stdout).toContain(`${url}/docs`);
    const metrics = /"port":(\d+),"msg":"metrics listening"/.exec(first.stdout)?.[1];
    expect(await send(`http://127.0.0.1:${metrics}`, 'GET', '/metrics')).toMatchObject({ status: 200 });
    expect(first.stdout).toMatch(/curl -H "Authorization: Bearer \S+" -F file=@hello.txt /);
    expect((await stat(join(data.path, 'secret'))).mode & 0o777).toBe(0o600);
    expect(first.stdout + first.stderr).not.toContain((await readFile(join(data.path, 'secret'), 'utf8')).trim());

    const uploaded = await send(url, 'POST', '/api/v1/files/upload', { headers: tenant, form: fileForm('kept', { name: 'a.txt' }) });
    expect(uploaded).toMatchObject({ status: 201, json: { bucket: 'coffer-uploads' } });
    expect(await send(url, 'GET', '/api/v1/storage/buckets', { headers: admin })).toMatchObject({ status: 200, json: { total: 1 } });
    expect(await send(url, 'GET', '/api/v1/storage/buckets', { headers: tenant })).toMatchObject({ status: 403 });
    const viewer = await send(url, 'GET', '/docs/scalar.js');
    expect(viewer).toMatchObject({ status: 200, headers: { 'content-type': 'text/javascript; charset=utf-8' } });
    expect(viewer.bytes.length).toBeGreaterThan(1_000_000);
    expect(await send(url, 'HEAD', '/docs/scalar.js')).toMatchObject({ status: 200, text: '' });

    const late = randomBytes(100_000);
    const connection = await RawConnection.open(url);
    await connection.write(
      `PUT /api/v1/storage/objects/late HTTP/1.1\r\nHost: a\r\nAuthorization: ${admin.authorization}\r\nContent-Length: ${late.length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    await connection.continued();
    await connection.write(late.subarray(0, 1000));
    const stopped = first.stop('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await connection.write(late.subarray(1000));
    expect(await connection.answer()).toMatchObject({ status: 201 });
    expect(await stopped).toBe(0);
    expect(first.stderr).toBe('');

    const second = run(env);
    const again = await second.listening();
    expect(await send(again, 'GET', `/api/v1/files/${uploaded.json.id}/download`, { headers: tenant })).toMatchObject({
      status: 200,
      text: 'kept',
    });
    expect((await send(again, 'GET', '/api/v1/storage/objects/late', { headers: admin })).bytes.equals(late)).toBe(true);
    expect(await second.stop('SIGINT')).toBe(0);
    await data.remove();
  }, 60_000);

  it('cuts what is under way when it is asked to stop once more', async () => {
    const data = await dataDirectory();
    const server = run({ PORT: '0', COFFER_DATA_DIR: data.path, DATABASE_URL: database.url, AUTH_JWT_SECRET: secret });
    const { authorization } = await as('root', { roles: ['admin'] });
    const connection = await RawConnection.open(await server.listening());
    await connection.write(
      `PUT /api/v1/storage/objects/cut HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n`,
    );
    await connection.continued();
    const stopped = server.stop();
    await expect.poll(() => server.stdout).toContain('"msg":"stopping"');
    const asked = performance.now();
    server.child.kill('SIGINT');
    expect(await stopped).toBe(0);
    expect(performance.now() - asked).toBeLessThan(15_000); // of the 25 s that the drain may take
    expect(connection.closed).toBe(true);
    await data.remove();
  });

  it.each(['lean', 'sdk'])('can load everything it loads on demand on S3, %s transport', async (transport) => {
    const { endpoint, ...keys } = await startS3('ceph');
    const [data, prefix] = [await dataDirectory(), `built-${randomBytes(4).toString('hex')}-`];
    const credentials = join(dirname(data.path), 'credentials');
    await writeFile(credentials, `[coffer]\naws_access_key_id = ${keys.accessKey}\naws_secret_access_key = ${keys.secretKey}\n`);
    const server = run({
      PORT: '0',
      METRICS_PORT: '0',
      COFFER_DATA_DIR: data.path,
      DATABASE_URL: database.url,
      STORAGE_BACKEND: 's3',
      STORAGE_S3_ENDPOINT: endpoint,
      STORAGE_S3_TRANSPORT: transport,
      STORAGE_RETRY_MODE: 'adaptive',
      STORAGE_BUCKET: `${prefix}uploads`,
      STORAGE_AUTO_PROVISION: 'true',
      AWS_PROFILE: 'coffer',
      AWS_SHARED_CREDENTIALS_FILE: credentials,
    });
    const url = await server.listening();
    for (let waited = 0; server.banner('COFFER_ADMIN_TOKEN') === '' && waited < 5000; waited += 20)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const headers = bearer(server.banner('COFFER_ADMIN_TOKEN'));
    const { json: file } = await send(url, 'POST', '/api/v1/files/upload', { headers, form: fileForm('kept', { name: 'a.txt' }) });
    expect(await send(url, 'GET', `/api/v1/files/${file.id}/download`, { headers })).toMatchObject({ status: 200, text: 'kept' });
    const presigned = { filename: 'b', content_type: 'text/plain', size_bytes: 1 };
    const bucket = { name: `${prefix}second` };
    for (const [method, path, status, json] of [
      ['POST', 'files/presigned-upload', 201, presigned],
      ['POST', `files/${file.id}/presigned-download`, 200, {}],
      ['POST', 'storage/buckets', 201, bucket],
      ['PUT', `storage/buckets/${bucket.name}/versioning`, 200, { enabled: true }],
      ['GET', `storage/buckets/${bucket.name}/lifecycle`, 200, undefined],
      ['GET', 'storage/objects', 200, undefined],
      ['DELETE', `storage/buckets/${bucket.name}?force=true`, 204, undefined],
      ['DELETE', `storage/buckets/${prefix}uploads?force=true`, 204, undefined],
    ] as const) {
      const answer = await send(url, method, `/api/v1/${path}`, { headers, ...(json && { json }) });
      expect([path, answer.status, answer.text]).toEqual([path, status, expect.any(String)]);
    }
    expect(await server.stop()).toBe(0);
    await data.remove();
  });

  it('shows nothing of an upload during which it was killed', async () => {
    const data = await dataDirectory();
    const env = { PORT: '0', COFFER_DATA_DIR: data.path, DATABASE_URL: database.url };
    const first = run(env);
    const url = await first.listening();
    const banner = async (): Promise<{ tenant: { authorization: string }; admin: { authorization: string } }> => {
      for (let waited = 0; first.banner('COFFER_TOKEN') === '' && waited < 5000; waited += 20)
        await new Promise((resolve) => setTimeout(resolve, 20));
      return { tenant: bearer(first.banner('COFFER_TOKEN')), admin: bearer(first.banner('COFFER_ADMIN_TOKEN')) };
    };
    const { tenant, admin } = await banner();
    const kept = await send(url, 'POST', '/api/v1/files/upload', { headers: tenant, form: fileForm('kept') });
    const tracked = await RawConnection.open(url);
    await tracked.write(
      `POST /api/v1/files/upload HTTP/1.1\r\nHost: a\r\nAuthorization: ${tenant.authorization}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 50000000\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`,
    );
    const raw = await RawConnection.open(url);
    await raw.write(
      `PUT /api/v1/storage/objects/raw HTTP/1.1\r\nHost: a\r\nAuthorization: ${admin.authorization}\r\nContent-Length: 50000000\r\n\r\n`,
    );
    for (const connection of [tracked, raw]) await connection.write(randomBytes(5_000_000));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await first.stop('SIGKILL')).toBe('SIGKILL');

    const second = run(env);
    const again = await second.listening();
    expect((await send(again, 'GET', '/api/v1/files', { headers: tenant })).json.files.map(({ id }: { id: string }) => id)).toEqual([
      kept.json.id,
    ]);
    expect(await send(again, 'GET', '/api/v1/storage/objects/raw', { headers: admin })).toMatchObject({ status: 404 });
    expect((await send(again, 'GET', '/api/v1/storage/objects', { headers: admin })).json.objects).toHaveLength(1);
    const left = await readdir(join(data.path, 'objects'), { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile() && !entry.name.startsWith('index.db'))).toHaveLength(1);
    expect(await second.stop()).toBe(0);
    await data.remove();
  }, 60_000);

  // Objects that V8 keeps until a full collection are copied twice, and bring that collection closer.
  it.each(['local', 's3'] as const)(
    'retains nothing of the requests that it has answered (%s)',
    async (backend) => {
      const data = await dataDirectory();
      const s3 = backend === 's3' ? await startS3('ceph') : undefined;
      const prefix = `coffer-held-${randomBytes(4).toString('hex')}`;
      const server = run({
        PORT: '0',
        METRICS_PORT: '0',
        COFFER_DATA_DIR: data.path,
        DATABASE_URL: database.url,
        AUTH_JWT_SECRET: secret,
        STORAGE_BACKEND: backend,
        STORAGE_ENABLE_MULTI_TENANCY: 'true',
        STORAGE_AUTO_PROVISION: 'true',
        STORAGE_BUCKET: `${prefix}-default`,
        STORAGE_BUCKET_NAMING_PATTERN: `${prefix}-{tenant_slug}`,
        ...(s3 && {
          STORAGE_S3_ENDPOINT: s3.endpoint,
          STORAGE_S3_ACCESS_KEY: s3.accessKey,
          STORAGE_S3_SECRET_KEY: s3.secretKey,
        }),
        // Small and soon full: what survives two of its collections moves to the old space.
        NODE_OPTIONS: '--max-semi-space-size=1',
      });
      const url = await server.listening();
      const metrics = `http://127.0.0.1:${/"port":(\d+),"msg":"metrics listening"/.exec(server.stdout)?.[1]}`;
      const headers = await as('ada', { tenant: acme });
      const admin = { ...(await as('root', { roles: ['admin'] })), 'x-tenant-id': acme.uuid };
      const file = await send(url, 'POST', '/api/v1/files/upload', { headers, form: fileForm('kept') });
      const answered = {
        upload: () => send(url, 'POST', '/api/v1/files/upload', { headers, form: fileForm('one more') }),
        raw: () => send(url, 'PUT', '/api/v1/storage/objects/raw', { headers: admin, body: 'raw' }),
        download: () => send(url, 'GET', `/api/v1/files/${file.json.id}/download`, { headers }),
        record: () => send(url, 'GET', `/api/v1/files/${file.json.id}`, { headers }),
        presigned: () =>
          send(url, 'POST', '/api/v1/files/presigned-upload', {
            headers,
            json: { filename: 'a.txt', content_type: 'text/plain', size_bytes: 1 },
          }),
      };
      const times = 200;
      const most = Number.parseInt(process.versions.node) < 26 ? 2048 : 1024; // Node 24 itself keeps somewhat more
      /** Bytes of the old space per request of this kind; Infinity if the whole heap was collected meanwhile. */
      const kept = async (ask: () => Promise<Answer>): Promise<number> => {
        const before = await oldSpace(metrics);
        for (let time = 0; time < times; time++) expect(await ask()).toMatchObject({ status: expect.toSatisfy((status) => status < 300) });
        const after = await oldSpace(metrics);
        return after.collections === before.collections ? (after.bytes - before.bytes) / times : Infinity;
      };
      for (const [kind, ask] of Object.entries(answered)) {
        let least = Infinity; // the first rounds also keep newly compiled code
        for (let round = 0; round < 10 && least > most; round++) least = Math.min(least, await kept(ask));
        expect(least, kind).toBeLessThanOrEqual(most);
      }
      expect(await server.stop()).toBe(0);
      await data.remove();
    },
    120_000,
  );

  it.each(['SIGINT', 'SIGHUP'] as const)(
    'ends what it began when it is stopped by %s while it starts',
    async (signal) => {
      const data = await dataDirectory();
      const server = run({ PORT: '0', COFFER_DATA_DIR: data.path });
      for (let waited = 0; waited < 20_000; waited += 5) {
        if ((await readdir(data.path).catch(() => [])).length > 0) break;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(await server.stop(signal)).toBe(0);
      expect(server.stdout).not.toContain('Coffer is ready');
      await data.remove();
    },
    60_000,
  );

  it('stops for a signal that comes before anything is loaded, which the first process of a container would not die of', async () => {
    const hook = `import { registerHooks } from 'node:module';
      registerHooks({ load(url, context, next) { if (url.includes('/start-')) process.kill(process.pid, 'SIGTERM'); return next(url, context); } });`;
    const data = await dataDirectory();
    const options = `--import data:text/javascript,${encodeURIComponent(hook)}`;
    const server = run({ PORT: '0', COFFER_DATA_DIR: data.path, DATABASE_URL: database.url, NODE_OPTIONS: options });
    expect(await server.exited).toBe(0);
    expect(server.stdout).toContain('"signal":"SIGTERM"');
    expect(server.stdout).not.toContain('listening');
    await data.remove();
  });

  it('stops for a signal that comes while it makes its tokens', async () => {
    const hook = `const { subtle } = globalThis.crypto; const sign = subtle.sign.bind(subtle);
      subtle.sign = async (...given) => { process.kill(process.pid, 'SIGTERM'); await new Promise((done) => setTimeout(done, 200)); return sign(...given); };`;
    const data = await dataDirectory();
    const options = `--import data:text/javascript,${encodeURIComponent(hook)}`;
    const server = run({ PORT: '0', COFFER_DATA_DIR: data.path, DATABASE_URL: database.url, NODE_OPTIONS: options });
    expect(await server.exited).toBe(0);
    expect(server.stdout).toContain('"msg":"listening"');
    expect(server.stdout).toContain('"signal":"SIGTERM"');
    await data.remove();
  }, 20_000);

  it('serves, though nobody reads what it prints', async () => {
    const data = await dataDirectory();
    const port = await freePort('127.0.0.1');
    const server = run({ PORT: String(port), COFFER_DATA_DIR: data.path, DATABASE_URL: database.url });
    server.child.stdout?.destroy();
    const live = async (): Promise<unknown> =>
      fetch(`http://127.0.0.1:${port}/health/live`).then(
        ({ status }) => status,
        () => undefined,
      );
    await expect.poll(live, { timeout: 20_000 }).toBe(200);
    expect(await server.stop()).toBe(0);
    expect(server.stderr).toBe('');
    await data.remove();
  }, 30_000);

  it('does not wait for a silent database once it is asked to stop', async () => {
    const data = await dataDirectory();
    const silent = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const url = `postgres://user@127.0.0.1:${port}/db?connect_timeout=60`;
    const server = run({ PORT: '0', COFFER_DATA_DIR: data.path, DATABASE_URL: url });
    await once(silent, 'connection');
    expect(await server.stop()).toBe(0);
    silent.close();
    await data.remove();
  }, 20_000);
});
