import { afterAll, beforeAll, expect, it } from 'vitest';

import { uploadFile } from '../../testing/files.ts';
import { onEachBackend } from '../../testing/on-each-backend.ts';
import type { Answer } from '../../testing/send.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { acme, admin, as, service } from '../../testing/tokens.ts';

onEachBackend('records of files', ({ start }) => {
  let api: TestApi;
  let ann: { authorization: string };
  let bob: { authorization: string };
  const send: TestApi['send'] = (method, path, options = {}) =>
    api.send(method, `/api/v1/files${path}`, { ...options, headers: { ...ann, ...options.headers } });

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    ann = await as('ann', { tenant: acme });
    bob = await as('bob', { tenant: acme });
  });
  afterAll(() => api.stop());

  it('are listed in pages, newest first', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.unshift((await uploadFile(api, ann, `file ${n}`)).json.id);
    const found: string[] = [];
    let cursor: string | null = null;
    do {
      const { json }: { json: { files: { id: string }[]; next_cursor: string | null } } = await send(
        'GET',
        `/?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      expect(json.files.length).toBeLessThanOrEqual(2);
      found.push(...json.files.map(({ id }) => id));
      cursor = json.next_cursor;
    } while (cursor !== null);
    expect(found).toEqual(ids);
    expect((await send('GET', '')).json).toMatchObject({ files: ids.map((id) => ({ id, status: 'available' })), next_cursor: null });
  });

  it.each([
    'limit=0',
    'limit=1001',
    'limit=1e3',
    'limit=abc',
    'limit=-1',
    'limit=',
    'limit=1.0',
    'limit=1&limit=1',
    'cursor=nonsense',
    'cursor=',
    `cursor=${'a'.repeat(2000)}`,
    'status=gone',
    'status=',
    'owner_id=',
    'owner_id=%00',
    'owner_id=%ff',
    'owner_id=a&owner_id=b',
  ])('are not listed by %.30s', async (query) => {
    expect(await send('GET', `?${query}`)).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field: query.split('=')[0], message: expect.any(String) }] },
    });
  });

  it('are listed by owner and by status', async () => {
    const theirs = (await uploadFile(api, bob, 'x', { fields: { is_public: 'true' } })).json.id;
    await uploadFile(api, bob, 'hidden');
    expect((await send('GET', '?owner_id=bob')).json.files.map(({ id }: { id: string }) => id)).toEqual([theirs]);
    expect((await send('GET', '?owner_id=nobody')).json).toEqual({ files: [], next_cursor: null });
    const pending = await send('POST', '/presigned-upload', { json: { filename: 'p.txt', content_type: 'text/plain', size_bytes: 3 } });
    expect((await send('GET', '?status=pending')).json.files).toEqual([
      expect.objectContaining({ id: pending.json.file_id, status: 'pending', size_bytes: 3, etag: null, sha256: null }),
    ]);
    expect((await send('GET', '?status=available')).json.files).toHaveLength(6);
    expect(await send('DELETE', `/${pending.json.file_id}`)).toMatchObject({ status: 204 });
    for (const status of ['failed', 'deleted'])
      expect((await send('GET', `?status=${status}`)).json).toEqual({ files: [], next_cursor: null });
  });

  it('are changed by their owner', async () => {
    const { json: file } = await uploadFile(api, ann, 'x', { fields: { metadata: '{"a":1}' } });
    const patched = await send('PATCH', `/${file.id}`, { json: { filename: 'neu ü.txt', is_public: true, metadata: { b: 2 } } });
    expect(patched).toMatchObject({
      status: 200,
      json: { ...file, filename: 'neu ü.txt', is_public: true, metadata: { b: 2 }, updated_at: expect.any(String) },
    });
    const change = (): Promise<Answer> => send('PATCH', `/${file.id}`, { json: { is_public: true } });
    await expect.poll(async () => Date.parse((await change()).json.updated_at)).toBeGreaterThan(Date.parse(file.created_at));
    expect((await send('PATCH', `/${file.id}`, { json: { is_public: false } })).json).toMatchObject({
      filename: 'neu ü.txt',
      is_public: false,
      metadata: { b: 2 },
    });
    expect((await send('GET', `/${file.id}`)).json).toMatchObject({ filename: 'neu ü.txt', is_public: false });
    expect(await send('PATCH', `/${file.id}`, { json: {} })).toMatchObject({ status: 200, json: { filename: 'neu ü.txt' } });
    expect(
      await send('PATCH', `/${file.id}`, {
        json: { size_bytes: 5, owner_id: 'bob', status: 'failed', tenant_uuid: 'x', bucket: 'y', storage_key: 'z', id: 'q' },
      }),
    ).toMatchObject({
      status: 200,
      json: {
        size_bytes: 1,
        owner_id: 'ann',
        status: 'available',
        tenant_uuid: acme.uuid,
        bucket: file.bucket,
        storage_key: file.storage_key,
        id: file.id,
      },
    });
  });

  it.each([
    [{ filename: '' }, 'filename'],
    [{ filename: 1 }, 'filename'],
    [{ filename: 'a\nb' }, 'filename'],
    [{ filename: 'a\u0085b' }, 'filename'],
    [{ filename: '\ud800' }, 'filename'],
    [{ filename: 'x'.repeat(1025) }, 'filename'],
    [{ is_public: 'true' }, 'is_public'],
    [{ is_public: null }, 'is_public'],
    [{ metadata: [] }, 'metadata'],
    [{ metadata: 'x' }, 'metadata'],
    [{ metadata: { a: 'x'.repeat(20_000) } }, 'metadata'],
    [{ metadata: { a: '\0' } }, 'metadata'],
    [[], 'body'],
    ['x', 'body'],
  ])('are not changed by %.50j', async (json, field) => {
    const { json: file } = await uploadFile(api, ann);
    const answer = await send('PATCH', `/${file.id}`, { json });
    expect(answer).toMatchObject({ status: 400, json: { code: 'validation_failed', errors: [{ field, message: expect.any(String) }] } });
    expect((await send('GET', `/${file.id}`)).json).toEqual(file);
  });

  it('end with their file', async () => {
    const { json: file } = await uploadFile(api, ann, 'x', { fields: { is_public: 'true' } });
    expect(await send('DELETE', `/${file.id}`)).toMatchObject({ status: 204, text: '' });
    const gone = { status: 404, json: { code: 'file_not_found' } };
    for (const headers of [ann, bob, await admin(), { ...(await service()), 'x-tenant-id': 'acme' }]) {
      for (const [method, path] of [
        ['GET', ''],
        ['GET', '/download'],
        ['GET', '/download?redirect=true'],
        ['DELETE', ''],
        ['POST', '/complete'],
        ['POST', '/presigned-download'],
      ]) {
        expect(await send(method!, `/${file.id}${path}`, { headers })).toMatchObject(gone);
      }
      expect(await send('PATCH', `/${file.id}`, { headers, json: { filename: 'x' } })).toMatchObject(gone);
      expect(await send('HEAD', `/${file.id}/download`, { headers })).toMatchObject({ status: 404 });
    }
    expect(await api.send('GET', `/api/v1/public/files/${file.id}`)).toMatchObject(gone);
    expect(
      await api.send('GET', `/api/v1/storage/objects/${file.storage_key}?bucket=${file.bucket}`, { headers: await admin() }),
    ).toMatchObject(gone);
  });

  it.each([
    'nope',
    '0',
    '00000000-0000-0000-0000-000000000000',
    'B1946AC9-2492-4D23-8F5C-6A3F0A1C9E55',
    '%00',
    "'%20or%20'1'='1",
    'a'.repeat(3000),
    '..',
    '%',
    '__proto__',
  ])('that are nowhere are 404: %.30s', async (id) => {
    const gone = { status: 404, json: { code: 'file_not_found' } };
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/download'],
      ['DELETE', ''],
      ['POST', '/complete'],
      ['POST', '/presigned-download'],
    ])
      expect(await send(method!, `/${id}${path}`)).toMatchObject(gone);
    expect(await send('PATCH', `/${id}`, { json: { filename: 'x' } })).toMatchObject(gone);
    expect(await api.send('GET', `/api/v1/public/files/${id}`)).toMatchObject(gone);
  });
});
