import { randomBytes } from 'node:crypto';

import postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { uploadFile } from './testing/files.ts';
import { openFilesBelow } from './testing/open-files.ts';
import { RawConnection } from './testing/raw-http.ts';
import { onEachBackend } from './testing/on-each-backend.ts';
import type { ApiOnBackend } from './testing/on-each-backend.ts';
import { acme, admin, as } from './testing/tokens.ts';

const size = 20_000_000;

/** Polls `ask` until it gives `expected`, for at most 5 seconds; then fails with its last value. */
async function eventually<T>(ask: () => Promise<T> | T, expected: T): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (JSON.stringify(await ask()) === JSON.stringify(expected)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(await ask()).toEqual(expected);
}

onEachBackend('a client that goes away', ({ start, bucket, abilities }) => {
  let api: ApiOnBackend;
  let ann: { authorization: string };
  let root: { authorization: string };
  let sql: postgres.Sql;

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    ann = await as('ann', { tenant: acme });
    root = await admin();
    await uploadFile(api, ann, 'first');
    await api.send('PUT', '/api/v1/storage/objects/first', { headers: root, body: 'x' });
    sql = postgres(api.databaseUrl, { max: 1 });
  });
  afterAll(async () => {
    await sql.end();
    await api.stop();
  });

  const openFiles = (): Promise<number> => openFilesBelow(api.dataDir);
  const connections = (): Promise<number> => new Promise((resolve) => api.server.getConnections((_error, count) => resolve(count)));
  const head = (method: string, path: string, token: { authorization: string }, rest = ''): string =>
    `${method} ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${token.authorization}\r\n${rest}\r\n`;
  const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n';
  const formHead = 'Content-Type: multipart/form-data; boundary=b\r\n';

  const uploads: [string, () => string][] = [
    ['a tracked upload', () => head('POST', '/api/v1/files/upload', ann, `${formHead}Content-Length: ${size}\r\n`) + part],
    [
      'a tracked upload of unknown length',
      () =>
        `${head('POST', '/api/v1/files/upload', ann, `${formHead}Transfer-Encoding: chunked\r\n`)}${(part.length + 100_000_000).toString(16)}\r\n${part}`,
    ],
    ['a raw upload', () => head('PUT', '/api/v1/storage/objects/left', root, `Content-Length: ${size}\r\n`)],
    ['a raw upload over an object', () => head('PUT', '/api/v1/storage/objects/first', root, `Content-Length: ${size}\r\n`)],
    [
      'a form whose fields may follow',
      () => head('POST', '/api/v1/storage/objects/left', root, `${formHead}Content-Length: ${size}\r\n`) + part,
    ],
    [
      'a form that streams',
      () =>
        head('POST', '/api/v1/storage/objects/left', root, `${formHead}Content-Length: ${size}\r\n`) +
        ['bucket', 'acl', 'storage_class']
          .map(
            (name, i) =>
              `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${[bucket('staging-uploads'), 'private', 'STANDARD'][i]}\r\n`,
          )
          .join('') +
        part,
    ],
  ];

  it.each(uploads)('in %s leaves nothing', async (_what, begin) => {
    const before = {
      stored: await api.stored(),
      rows: [...(await sql`select id, status from files where status <> 'deleted' order by id`)],
      files: await openFiles(),
      connections: await connections(),
    };
    for (const bytes of [0, 100, 3_000_000]) {
      const connection = await RawConnection.open(api.url);
      await connection.write(begin());
      if (bytes > 0) await connection.write(randomBytes(bytes));
      await new Promise((resolve) => setTimeout(resolve, 30));
      connection.destroy();
    }
    await eventually(
      async () => ({
        stored: await api.stored(),
        rows: [...(await sql`select id, status from files where status <> 'deleted' order by id`)],
        files: await openFiles(),
        connections: await connections(),
      }),
      before,
    );
    expect(await api.send('GET', '/api/v1/storage/objects/left', { headers: root })).toMatchObject({ status: 404 });
    expect((await api.send('GET', '/api/v1/storage/objects/first', { headers: root })).text).toBe('x');
  });

  it('in a download closes the file', async () => {
    await api.send('PUT', '/api/v1/storage/objects/large', { headers: root, body: randomBytes(size) });
    const id = (await uploadFile(api, ann, randomBytes(size))).json.id;
    const before = { files: await openFiles(), connections: await connections() };
    for (const request of [head('GET', '/api/v1/storage/objects/large', root), head('GET', `/api/v1/files/${id}/download`, ann)]) {
      const connection = await RawConnection.open(api.url);
      connection.socket.pause();
      await connection.write(request);
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (process.platform === 'linux') await eventually(openFiles, before.files + (abilities.local ? 1 : 0));
      connection.destroy();
      await eventually(async () => ({ files: await openFiles(), connections: await connections() }), before);
    }
    expect(api.log.filter(({ level }) => Number(level) > 30)).toEqual([]);
  });

  it('before its request was read costs nothing', async () => {
    const before = await connections();
    for (const text of [
      '',
      'GET',
      head('GET', '/api/v1/files', ann).slice(0, -2),
      head('GET', '/api/v1/files', ann),
      head('DELETE', '/api/v1/storage/objects/absent', root),
      head('POST', '/api/v1/files/upload', ann, `${formHead}Content-Length: 100\r\n`),
    ]) {
      const connection = await RawConnection.open(api.url);
      if (text !== '') await connection.write(text);
      connection.destroy();
    }
    await eventually(connections, before);
    expect(await api.send('GET', '/api/v1/files', { headers: ann })).toMatchObject({ status: 200 });
  });

  it.each(['tenants', 'tenant_usage'])('while a request waits for the database (%s) leaves nothing', async (table) => {
    const tenant = { uuid: `55555555-5555-4555-8555-55555555555${table === 'tenants' ? 1 : 2}`, slug: `waits-${table.replace('_', '-')}` };
    const waiting = await as('ann', { tenant });
    if (table === 'tenant_usage')
      await api.send('DELETE', `/api/v1/files/${(await uploadFile(api, waiting)).json.id}`, { headers: waiting });
    const before = await api.stored();
    await sql.begin(async (transaction) => {
      await transaction.unsafe(`lock table ${table} in access exclusive mode`);
      const connection = await RawConnection.open(api.url);
      await connection.write(head('POST', '/api/v1/files/upload', waiting, `${formHead}Content-Length: ${size}\r\n`) + part);
      await connection.write(randomBytes(500_000));
      const blocked = () => transaction`
        select 1 from pg_locks where relation = ${table}::regclass and not granted
          and database = (select oid from pg_database where datname = current_database())`;
      await eventually(async () => (await blocked()).length, 1);
      connection.destroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
    });
    await eventually(
      async () => ({
        stored: await api.stored(),
        rows: await sql`select 1 from files where tenant_uuid = ${tenant.uuid} and status <> 'deleted'`,
      }),
      { stored: before, rows: [] as never },
    );
    await eventually(
      async () => [...(await sql`select reserved_bytes::int, used_bytes::int from tenant_usage where tenant_uuid = ${tenant.uuid}`)],
      [{ reserved_bytes: 0, used_bytes: 0 }],
    );
    expect(await api.send('GET', '/api/v1/files', { headers: waiting })).toMatchObject({ status: 200, json: { files: [] } });
  });

  it('in the middle of its body gets an error if it still listens', async () => {
    const connection = await RawConnection.open(api.url);
    await connection.write(head('POST', '/api/v1/files/upload', ann, `${formHead}Content-Length: 20\r\n`) + part); // longer than announced
    expect(await connection.answer()).toMatchObject({ status: 400 });
    expect(await connection.closesInTime(3000)).toBe(true);
  });

  it.each([
    ['ends too soon', 'Content-Length: 100\r\n', 'abc'],
    ['has a chunk without a size', 'Transfer-Encoding: chunked\r\n', '3\r\nabc\r\nzz\r\n'],
  ])('with a body that %s is told so under the id of its request, which is logged once', async (_how, framing, body) => {
    const connection = await RawConnection.open(api.url);
    const id = `cut-${randomBytes(4).toString('hex')}`;
    const unknown = api.log.filter(({ msg }) => msg === 'no request').length;
    await connection.write(head('PUT', '/api/v1/storage/objects/left', root, `${framing}X-Request-ID: ${id}\r\n`) + body);
    connection.socket.end();
    const answer = await connection.answer();
    expect(answer).toMatchObject({ status: 400, headers: { 'x-request-id': id } });
    expect(JSON.parse(answer.body)).toMatchObject({
      code: 'validation_failed',
      request_id: id,
      detail: 'The body is malformed or cut short.',
    });
    const logged = (): readonly unknown[] => api.log.filter(({ msg, request_id: of }) => msg === 'request' && of === id);
    await eventually(() => logged().length, 1);
    expect(logged()).toMatchObject([{ status: 400, code: 'validation_failed' }]);
    expect(api.log.filter(({ msg }) => msg === 'no request')).toHaveLength(unknown);
    expect(await api.send('GET', '/api/v1/storage/objects/left', { headers: root })).toMatchObject({ status: 404 });
  });
});
