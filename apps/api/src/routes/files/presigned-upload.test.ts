import { createHash, randomUUID } from 'node:crypto';

import postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { sendPresigned } from '../../testing/files.ts';
import type { Answer } from '../../testing/send.ts';
import { onEachBackend, where } from '../../testing/on-each-backend.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { acme, admin, as } from '../../testing/tokens.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

onEachBackend('a presigned upload', ({ start, bucket, abilities }) => {
  let api: TestApi;
  let ann: { authorization: string };

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true', STORAGE_PRESIGN_EXPIRES: '1800' });
    ann = await as('ann', { tenant: acme });
  });
  afterAll(() => api.stop());

  const begin = (changes: Record<string, unknown> = {}, headers: Record<string, string> = ann): Promise<Answer> =>
    api.send('POST', '/api/v1/files/presigned-upload', {
      headers,
      json: { filename: 'a.txt', content_type: 'text/plain', size_bytes: 5, ...changes },
    });
  const complete = (begun: Answer, headers: Record<string, string> = ann): Promise<Answer> =>
    api.send('POST', `/api/v1/files/${begun.json.file_id}/complete`, { headers });

  it('goes from the request over the bytes to the file', async () => {
    const begun = await begin({ filename: 'Größe.txt', is_public: true, sha256: sha256('hello'), metadata: { a: 1 } });
    expect(begun.status).toBe(201);
    expect(begun.json).toEqual({
      file_id: expect.any(String),
      method: 'POST',
      upload_url: expect.stringContaining(bucket('acme-uploads')),
      upload_fields: expect.objectContaining({ key: expect.any(String), 'Content-Type': 'text/plain' }),
      upload_headers: {},
      expires_in: 1800,
    });
    expect((await api.send('GET', `/api/v1/files/${begun.json.file_id}`, { headers: ann })).json).toMatchObject({
      status: 'pending',
      size_bytes: 5,
      filename: 'Größe.txt',
    });
    expect(await api.send('GET', `/api/v1/files/${begun.json.file_id}/download`, { headers: ann })).toMatchObject({ status: 404 });
    expect(await api.send('GET', `/api/v1/public/files/${begun.json.file_id}`)).toMatchObject({ status: 404 });

    expect(await complete(begun)).toMatchObject({ status: 409, json: { code: 'upload_not_found' } });
    const sent = await sendPresigned(begun, 'hello', 'text/plain');
    expect(sent.ok).toBe(true);
    const done = await complete(begun);
    expect(done).toMatchObject({
      status: 200,
      json: {
        id: begun.json.file_id,
        status: 'available',
        size_bytes: 5,
        sha256: sha256('hello'),
        is_public: true,
        metadata: { a: 1 },
        owner_id: 'ann',
        tenant_uuid: acme.uuid,
      },
    });
    expect(await complete(begun)).toMatchObject({ status: 200, json: done.json });
    expect(await api.send('GET', `/api/v1/files/${begun.json.file_id}/download`, { headers: ann })).toMatchObject({
      status: 200,
      text: 'hello',
    });
  });

  it('works from the page of another origin', async () => {
    const { json } = await begin();
    const preflight = await fetch(json.upload_url, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example.com', 'access-control-request-method': 'POST' },
    });
    expect(preflight.ok).toBe(true);
    expect(['*', 'https://app.example.com']).toContain(preflight.headers.get('access-control-allow-origin'));
  });

  it.each([
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\ann\\my file.txt', 'my file.txt'],
    ['/a/b\\c', 'c'],
    ['..x', '..x'],
  ])('called %s is named without the folder', async (filename, kept) => {
    const { json } = await begin({ filename });
    expect((await api.send('GET', `/api/v1/files/${json.file_id}`, { headers: ann })).json.filename).toBe(kept);
    const renamed = await api.send('PATCH', `/api/v1/files/${json.file_id}`, { headers: ann, json: { filename } });
    expect(renamed).toMatchObject({ status: 200, json: { filename: kept } });
  });

  it.each(['a/', '..', 'a/..', '\\', 'C:\\.'])('is refused under %s, which is not a file name', async (filename) => {
    const refused = { status: 400, json: { code: 'validation_failed', errors: [{ field: 'filename' }] } };
    expect(await begin({ filename })).toMatchObject(refused);
    const { json } = await begin();
    expect(await api.send('PATCH', `/api/v1/files/${json.file_id}`, { headers: ann, json: { filename } })).toMatchObject(refused);
  });

  it('accepts exactly the bytes that were announced', async () => {
    for (const [content, type] of [
      ['hell', 'text/plain'],
      ['hello!', 'text/plain'],
      ['hello', 'text/html'],
    ] as const) {
      const begun = await begin();
      const fields = begun.json.upload_fields as Record<string, string>;
      const sent = await sendPresigned(begun, content, type, type === 'text/html' ? { 'Content-Type': type } : {});
      expect({ fields, status: sent.status }).toMatchObject({
        status: expect.toSatisfy((status: number) => status >= 400 && status < 500),
      });
      expect(await complete(begun)).toMatchObject({ status: 409, json: { code: 'upload_not_found' } });
    }
    const begun = await begin();
    for (const changes of [{ key: 'files/other' }, { 'x-extra': 'field' }])
      expect((await sendPresigned(begun, 'hello', 'text/plain', changes as Record<string, string>)).status).toBe(403);
    expect((await sendPresigned(begun, 'hello', 'text/plain')).ok).toBe(true);
  });

  it('with another checksum than was announced fails for good', async () => {
    const begun = await begin({ sha256: sha256('other') });
    await sendPresigned(begun, 'hello', 'text/plain');
    for (let times = 0; times < 2; times++) expect(await complete(begun)).toMatchObject({ status: 422, json: { code: 'upload_mismatch' } });
    expect((await api.send('GET', '/api/v1/files?status=failed', { headers: ann })).json.files).toEqual([
      expect.objectContaining({ id: begun.json.file_id }),
    ]);
    expect(await api.send('GET', `/api/v1/files/${begun.json.file_id}/download`, { headers: ann })).toMatchObject({ status: 404 });
  });

  it('changes nothing any more once it is complete, nor brings back what was deleted', async () => {
    const begun = await begin();
    await sendPresigned(begun, 'hello', 'text/plain');
    await complete(begun);
    await sendPresigned(begun, 'HELLO', 'text/plain');
    const download = (): Promise<Answer> => api.send('GET', `/api/v1/files/${begun.json.file_id}/download`, { headers: ann });
    expect((await download()).text).toBe('hello');
    expect(await complete(begun)).toMatchObject({ status: 200, json: { sha256: abilities.hashes ? sha256('hello') : null } });
    await api.send('DELETE', `/api/v1/files/${begun.json.file_id}`, { headers: ann });
    await sendPresigned(begun, 'HELLO', 'text/plain');
    expect(await complete(begun)).toMatchObject({ status: 404 });
    expect(await download()).toMatchObject({ status: 404 });
  });

  where(abilities.local, () =>
    it('is of no use in a later bucket of the same name', async () => {
      const root = await admin();
      const create = async (slug: string) => {
        const tenant = { uuid: randomUUID(), slug };
        const json = { tenant_uuid: tenant.uuid, tenant_slug: tenant.slug };
        await api.send('POST', '/api/v1/admin/tenants', { headers: root, json });
        return tenant;
      };
      const first = await create('first');
      const begun = await begin({}, await as('ann', { tenant: first }));
      const { bucket: name } = (await api.send('GET', `/api/v1/files/${begun.json.file_id}`, { headers: root })).json;
      await api.send('DELETE', `/api/v1/admin/tenants/${first.uuid}?force=true`, { headers: root });
      expect((await sendPresigned(begun, 'hello', 'text/plain')).status).toBe(404);
      const second = await create('second');
      const made = await api.send('POST', '/api/v1/storage/buckets', { headers: root, json: { name, tenant_uuid: second.uuid } });
      expect(made.status).toBe(201);
      expect((await sendPresigned(begun, 'hello', 'text/plain')).status).toBe(403);
      expect((await api.send('GET', `/api/v1/storage/objects?bucket=${name}`, { headers: root })).json.objects).toEqual([]);
    }),
  );

  it('expires, but completes later if its bytes arrived in time', async () => {
    const expired = await begin();
    const arrived = await begin();
    await sendPresigned(arrived, 'hello', 'text/plain');
    const sql = postgres(api.databaseUrl, { max: 1 });
    await sql`update files set expires_at = now() - interval '1 second' where id = ${expired.json.file_id}`;
    await sql`update files set expires_at = greatest(created_at, now()) + interval '100 milliseconds' where id = ${arrived.json.file_id}`;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await complete(expired)).toMatchObject({ status: 410, json: { code: 'upload_expired' } });
    expect(await complete(arrived)).toMatchObject({ status: 200, json: { status: 'available' } });
    await sql.end();
  });

  it("is its owner's to complete", async () => {
    const begun = await begin({ is_public: true });
    await sendPresigned(begun, 'hello', 'text/plain');
    const statuses = [await complete(begun, await as('bob', { tenant: acme })), await complete(begun, await as('ann'))].map(
      ({ status }) => status,
    );
    for (const status of statuses) expect([403, 404]).toContain(status);
    expect(await complete(begun)).toMatchObject({ status: 200 });
    expect(await begin({ owner_id: 'bob' })).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    const forBob = await begin({ owner_id: 'bob' }, { ...(await admin()), 'x-tenant-id': 'acme' });
    expect(forBob.status).toBe(201);
    expect(
      (await api.send('GET', `/api/v1/files/${forBob.json.file_id}`, { headers: await as('bob', { tenant: acme }) })).json,
    ).toMatchObject({ owner_id: 'bob', tenant_uuid: acme.uuid });
  });

  it('of no bytes is an empty file', async () => {
    const begun = await begin({ size_bytes: 0 });
    expect((await sendPresigned(begun, '', 'text/plain')).ok).toBe(true);
    expect(await complete(begun)).toMatchObject({ status: 200, json: { size_bytes: 0, sha256: abilities.hashes ? sha256('') : null } });
  });

  it('completed many times at once is one file', async () => {
    const begun = await begin();
    await sendPresigned(begun, 'hello', 'text/plain');
    const answers = await Promise.all(Array.from({ length: 8 }, () => complete(begun)));
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, json: answers[0]?.json });
  });

  it.each([
    [{ filename: undefined }, 'filename'],
    [{ filename: '' }, 'filename'],
    [{ filename: 'a\0' }, 'filename'],
    [{ content_type: undefined }, 'content_type'],
    [{ content_type: 'nonsense' }, 'content_type'],
    [{ content_type: 'text/plain\r\nx: y' }, 'content_type'],
    [{ size_bytes: undefined }, 'size_bytes'],
    [{ size_bytes: '5' }, 'size_bytes'],
    [{ size_bytes: -1 }, 'size_bytes'],
    [{ size_bytes: 1.5 }, 'size_bytes'],
    [{ size_bytes: 1e300 }, 'size_bytes'],
    [{ size_bytes: null }, 'size_bytes'],
    [{ sha256: 'abc' }, 'sha256'],
    [{ sha256: sha256('x').toUpperCase() }, 'sha256'],
    [{ sha256: `${sha256('x')}0` }, 'sha256'],
    [{ is_public: 'true' }, 'is_public'],
    [{ owner_id: '' }, 'owner_id'],
    [{ metadata: [] }, 'metadata'],
  ])('is not begun with %j', async (changes, field) => {
    expect(await begin(changes)).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field, message: expect.any(String) }] },
    });
  });
});
