import { createHash } from 'node:crypto';

import postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { fileForm, uploadFile } from '../../testing/files.ts';
import { onEachBackend } from '../../testing/on-each-backend.ts';
import { RawConnection } from '../../testing/raw-http.ts';
import type { ApiOnBackend } from '../../testing/on-each-backend.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { acme, admin, as, service } from '../../testing/tokens.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
const hash = (algorithm: string, text: string, encoding: 'hex' | 'base64' = 'hex'): string =>
  createHash(algorithm).update(text).digest(encoding);

onEachBackend('an upload of a file', ({ start, bucket, abilities }) => {
  let api: ApiOnBackend;
  let ann: { authorization: string };
  let sql: postgres.Sql;

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true', STORAGE_MAX_UPLOAD_BYTES: '2000000' });
    ann = await as('ann', { tenant: acme });
    sql = postgres(api.databaseUrl, { max: 1 });
    expect(await uploadFile(api, ann)).toMatchObject({ status: 201 }); // creates tenant and bucket
  });
  afterAll(async () => {
    await sql.end();
    await api.stop();
  });

  const stored = async (): Promise<{ rows: number; blobs: number }> => {
    const [row] = await sql<{ count: number }[]>`select count(*)::int from files`;
    return { rows: row?.count ?? 0, blobs: (await api.stored()).length };
  };

  it('answers the record', async () => {
    const { status, json, headers } = await uploadFile(api, ann, 'hello', {
      name: 'Größe 日本.txt',
      fields: { is_public: 'true', metadata: '{"a":{"b":[1,null,"ü"]}}', owner_id: 'ann' },
    });
    expect(status).toBe(201);
    expect(headers['content-type']).toBe('application/json');
    expect(json).toEqual({
      id: expect.stringMatching(uuid),
      filename: 'Größe 日本.txt',
      content_type: 'text/plain',
      size_bytes: 5,
      bucket: bucket('acme-uploads'),
      storage_key: expect.stringContaining(json.id),
      owner_id: 'ann',
      tenant_uuid: acme.uuid,
      is_public: true,
      status: 'available',
      etag: hash('md5', 'hello'),
      sha256: abilities.hashes ? hash('sha256', 'hello') : null,
      metadata: { a: { b: [1, null, 'ü'] } },
      created_at: time,
      updated_at: time,
    });
    expect((await api.send('GET', `/api/v1/files/${json.id}`, { headers: ann })).json).toEqual(json);
  });

  it('takes its fields behind the file as well, and has defaults for them', async () => {
    const late = await uploadFile(api, ann, 'hello', { last: true, fields: { is_public: '1', metadata: '{"late":true}' } });
    expect(late).toMatchObject({ status: 201, json: { is_public: true, metadata: { late: true } } });
    expect((await api.send('GET', `/api/v1/files/${late.json.id}`, { headers: ann })).json).toEqual(late.json);
    for (const fields of [
      {},
      { is_public: '', metadata: '', owner_id: '' },
      { is_public: 'false' },
      { is_public: 'False' },
      { unknown: 'x' },
    ]) {
      expect(await uploadFile(api, ann, 'x', { fields: fields as Record<string, string> })).toMatchObject({
        status: 201,
        json: { is_public: false, metadata: {}, owner_id: 'ann' },
      });
    }
  });

  it('takes its fields as the form of a page sends them', async () => {
    const form = new FormData();
    form.append('metadata', new Blob(['{"a":1}'], { type: 'application/json' }));
    form.append('is_public', 'on'); // a checkbox
    form.append('file', new Blob(['hello']), 'a.txt');
    expect(await api.send('POST', '/api/v1/files/upload', { headers: ann, form })).toMatchObject({
      status: 201,
      json: { is_public: true, metadata: { a: 1 }, filename: 'a.txt', size_bytes: 5 },
    });
  });

  it('never derives the key from the file name', async () => {
    for (const name of ['../../etc/passwd', '..', 'a/b', 'CON', '.htaccess', 'x'.repeat(255)]) {
      const { json } = await uploadFile(api, ann, 'x', { name });
      expect(json.storage_key).toBe(`files/${json.id}`);
    }
    expect((await uploadFile(api, ann, 'x', { name: '../../etc/passwd' })).json.filename).toBe('passwd');
  });

  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
  it.each([
    ['text/plain', 'a.txt', 'hello', 'text/plain'],
    ['application/octet-stream', 'a.bin', png, 'image/png'],
    ['image/jpeg', 'a.jpg', png, 'image/png'],
    ['image/png', 'a.png', '<html><script>alert(1)</script>', 'text/html'],
    ['text/plain', 'a.txt', png, 'image/png'],
    ['nonsense', 'a.pdf', '%PDF-1.7\n', 'application/pdf'],
    ['text/x-own; charset=utf-8', 'a', 'x', 'text/x-own; charset=utf-8'],
    ['application/pdf', 'empty.pdf', '', 'application/pdf'],
  ])('declared as %s and called %s is kept as what it is', async (type, name, content, kept) => {
    const { status, json } = await uploadFile(api, ann, content as string, { name, type });
    expect({ status, type: json.content_type }).toEqual({ status: 201, type: kept });
  });

  it('is verified against declared checksums', async () => {
    const send = (header: string, value: string) =>
      api.send('POST', '/api/v1/files/upload', { headers: { ...ann, [header]: value }, form: fileForm('sum') });
    const before = await stored();
    for (const [header, algorithm] of [
      ['x-amz-checksum-sha256', 'sha256'],
      ['content-md5', 'md5'],
    ] as const) {
      expect(await send(header, hash(algorithm, 'other', 'base64'))).toMatchObject({ status: 422, json: { code: 'checksum_mismatch' } });
      expect(await send(header, 'nonsense')).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
    }
    expect(await stored()).toEqual(before);
    expect(await send('x-amz-checksum-sha256', hash('sha256', 'sum', 'base64'))).toMatchObject({ status: 201 });
  });

  it.each([
    [{ metadata: '{' }, 'metadata'],
    [{ metadata: '[]' }, 'metadata'],
    [{ metadata: '"x"' }, 'metadata'],
    [{ metadata: 'null' }, 'metadata'],
    [{ metadata: '1' }, 'metadata'],
    [{ metadata: JSON.stringify({ a: 'x'.repeat(20_000) }) }, 'metadata'],
    [{ metadata: `${'{"a":'.repeat(500)}1${'}'.repeat(500)}` }, 'metadata'],
    [{ metadata: '{"a":"\\u0000"}' }, 'metadata'],
    [{ metadata: '{"a":"\\ud800"}' }, 'metadata'],
    [{ is_public: 'maybe' }, 'is_public'],
    [{ is_public: 'yes' }, 'is_public'],
    [{ owner_id: 'x'.repeat(256) }, 'owner_id'],
    [{ owner_id: 'a\0b' }, 'owner_id'],
  ])('is refused with fields such as %.70j, on either side of the file', async (fields, field) => {
    const before = await stored();
    for (const last of [false, true]) {
      expect(await uploadFile(api, ann, 'x'.repeat(100_000), { fields: fields as Record<string, string>, last })).toMatchObject({
        status: 400,
        json: { code: 'validation_failed', errors: [{ field, message: expect.any(String) }] },
      });
    }
    expect(await stored()).toEqual(before);
  });

  it('for another owner is for administrators and services', async () => {
    const before = await stored();
    // A large file has already been stored when the fields after it arrive.
    for (const content of ['x', 'x'.repeat(1_500_000)])
      for (const last of [false, true])
        expect(await uploadFile(api, ann, content, { fields: { owner_id: 'bob' }, last })).toMatchObject({
          status: 403,
          json: { code: 'forbidden' },
        });
    expect(await stored()).toEqual(before);
    for (const token of [await admin(), await service()]) {
      for (const last of [false, true]) {
        expect(await uploadFile(api, { ...token, 'x-tenant-id': 'acme' }, 'x', { fields: { owner_id: 'bob' }, last })).toMatchObject({
          status: 201,
          json: { owner_id: 'bob', tenant_uuid: acme.uuid },
        });
      }
    }
  });

  it('for another owner is refused before the file has come, and before anything is kept of it', async () => {
    const before = await stored();
    const connection = await RawConnection.open(api.url);
    const part = (name: string): string => `--b\r\nContent-Disposition: form-data; name="${name}"`;
    await connection.write(
      `POST /api/v1/files/upload HTTP/1.1\r\nHost: x\r\nAuthorization: ${ann.authorization}\r\n` +
        `Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n` +
        `${part('owner_id')}\r\n\r\nbob\r\n${part('file')}; filename="f"\r\n\r\nfirst bytes`,
    );
    const { status } = await connection.answer({ timeoutMs: 3000 }).finally(() => connection.destroy());
    expect(status).toBe(403);
    expect(await stored()).toEqual(before);
  });

  it('leaves the prototype of metadata alone', async () => {
    const { status, json } = await uploadFile(api, ann, 'x', { fields: { metadata: '{"constructor":{"prototype":{"admin":true}}}' } });
    expect(status).toBe(201);
    expect(json.metadata.admin).toBeUndefined();
    for (const metadata of ['{"__proto__":{"admin":true},"a":1}', '{"a":[{"__proto__":{"admin":true}}]}'])
      expect(await uploadFile(api, ann, 'x', { fields: { metadata } })).toMatchObject({
        status: 400,
        json: { code: 'validation_failed', errors: [{ field: 'metadata' }] },
      });
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('is refused when it is no form, has no file or two, or is too large', async () => {
    const before = await stored();
    const post = (options: Parameters<TestApi['send']>[2]) =>
      api.send('POST', '/api/v1/files/upload/', { ...options, headers: { ...ann, ...options?.headers } });
    expect(await post({ json: {} })).toMatchObject({ status: 415, json: { code: 'unsupported_media_type' } });
    expect(await post({ body: 'x' })).toMatchObject({ status: 415 });
    expect(await post({})).toMatchObject({ status: 415 });
    expect(await post({ form: new FormData() })).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
    expect(await post({ body: 'x', headers: { 'content-type': 'multipart/form-data' } })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed' },
    });
    const two = new FormData();
    two.append('file', new Blob(['1']));
    two.append('file', new Blob(['2']));
    expect(await post({ form: two })).toMatchObject({ status: 400, json: { code: 'validation_failed', errors: [{ field: 'file' }] } });
    expect(await uploadFile(api, ann, Buffer.alloc(2_000_001))).toMatchObject({ status: 413, json: { code: 'payload_too_large' } });
    expect(await uploadFile(api, ann, Buffer.alloc(5_000_000))).toMatchObject({ status: 413, json: { code: 'payload_too_large' } });
    expect(await stored()).toEqual(before);
    expect(await uploadFile(api, ann, Buffer.alloc(2_000_000))).toMatchObject({ status: 201 });
  });

  it('is stored once per request, also with many at once', async () => {
    const before = await stored();
    const answers = await Promise.all(Array.from({ length: 32 }, (_, n) => uploadFile(api, ann, `file ${n}`)));
    expect(answers.every(({ status }) => status === 201)).toBe(true);
    expect(new Set(answers.map(({ json }) => json.id)).size).toBe(32);
    expect(await stored()).toEqual({ rows: before.rows + 32, blobs: before.blobs + 32 });
  });
});
