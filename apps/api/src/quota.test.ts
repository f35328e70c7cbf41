import { Readable } from 'node:stream';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { sendPresigned, uploadFile } from './testing/files.ts';
import { onEachBackend } from './testing/on-each-backend.ts';
import type { TestApi } from './testing/start-api.ts';
import { admin, as } from './testing/tokens.ts';

const exceeded = { status: 413, json: { code: 'quota_exceeded' } };

onEachBackend('a quota', ({ start }) => {
  let api: TestApi;
  let root: { authorization: string };
  let count = 0;

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    root = await admin();
  });
  afterAll(() => api.stop());

  const tenantOf = async (quota_bytes: number) => {
    count += 1;
    const tenant = { uuid: `00000000-0000-4000-8000-00000000000${count}`, slug: `q${count}` };
    await api.send('POST', '/api/v1/admin/tenants', {
      headers: root,
      json: { tenant_uuid: tenant.uuid, tenant_slug: tenant.slug, quota_bytes },
    });
    const usage = async () => (await api.send('GET', `/api/v1/admin/tenants/${tenant.slug}/usage`, { headers: root })).json;
    return { headers: await as('ann', { tenant }), usage, slug: tenant.slug };
  };

  it('is filled to its last byte and no further', async () => {
    const { headers, usage } = await tenantOf(1000);
    const first = await uploadFile(api, headers, 'x'.repeat(600));
    expect(await uploadFile(api, headers, 'x'.repeat(401))).toMatchObject(exceeded);
    expect(await usage()).toEqual({ bytes: 600, files: 1, quota_bytes: 1000 });
    expect(await uploadFile(api, headers, 'x'.repeat(400))).toMatchObject({ status: 201 });
    expect(await uploadFile(api, headers, 'x')).toMatchObject(exceeded);
    expect(await uploadFile(api, headers, '')).toMatchObject({ status: 201 });
    await api.send('DELETE', `/api/v1/files/${first.json.id}`, { headers });
    expect(await usage()).toEqual({ bytes: 400, files: 2, quota_bytes: 1000 });
    expect(await uploadFile(api, headers, 'x'.repeat(600))).toMatchObject({ status: 201 });
  });

  it('holds for uploads of unknown length', async () => {
    const { headers, usage } = await tenantOf(100_000);
    const upload = (bytes: number) => {
      const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n';
      return api.send('POST', '/api/v1/files/upload', {
        headers: { ...headers, 'content-type': 'multipart/form-data; boundary=b' },
        body: Readable.from([Buffer.from(head), Buffer.alloc(bytes), Buffer.from('\r\n--b--\r\n')]),
      });
    };
    expect(await upload(100_001)).toMatchObject(exceeded);
    expect(await usage()).toMatchObject({ bytes: 0, files: 0 });
    expect(await upload(100_000)).toMatchObject({ status: 201 });
    expect(await usage()).toMatchObject({ bytes: 100_000, files: 1 });
  });

  it('is not passed by many uploads at once', async () => {
    const { headers, usage } = await tenantOf(10_000);
    const answers = await Promise.all(Array.from({ length: 20 }, () => uploadFile(api, headers, 'x'.repeat(1500))));
    const taken = answers.filter(({ status }) => status === 201).length;
    expect(taken).toBeGreaterThanOrEqual(1);
    expect(answers.filter(({ status }) => status !== 201).every(({ json }) => json.code === 'quota_exceeded')).toBe(true);
    expect(await usage()).toEqual({ bytes: taken * 1500, files: taken, quota_bytes: 10_000 });
    expect(taken * 1500).toBeLessThanOrEqual(10_000);
  });

  it('is reserved by presigned uploads, and given back by those that fail', async () => {
    const { headers, usage } = await tenantOf(10);
    const begin = (size_bytes: number) =>
      api.send('POST', '/api/v1/files/presigned-upload', { headers, json: { filename: 'a', content_type: 'text/plain', size_bytes } });
    const begun = await begin(6);
    expect(begun.status).toBe(201);
    expect(await begin(5)).toMatchObject(exceeded);
    expect(await usage()).toMatchObject({ bytes: 0, files: 0 });
    await sendPresigned(begun, '123456', 'text/plain');
    expect(await api.send('POST', `/api/v1/files/${begun.json.file_id}/complete`, { headers })).toMatchObject({ status: 200 });
    expect(await usage()).toMatchObject({ bytes: 6, files: 1 });
    const other = await begin(4);
    await api.send('DELETE', `/api/v1/files/${other.json.file_id}`, { headers });
    expect(await begin(4)).toMatchObject({ status: 201 });
  });

  it('may be lowered below what is there, or taken away', async () => {
    const { headers, slug } = await tenantOf(100);
    await uploadFile(api, headers, 'x'.repeat(50));
    expect(await api.send('PATCH', `/api/v1/admin/tenants/${slug}`, { headers: root, json: { quota_bytes: 10 } })).toMatchObject({
      status: 200,
      json: { quota_bytes: 10 },
    });
    expect(await uploadFile(api, headers, 'x')).toMatchObject(exceeded);
    await api.send('PATCH', `/api/v1/admin/tenants/${slug}`, { headers: root, json: { quota_bytes: null } });
    expect(await uploadFile(api, headers, 'x'.repeat(5000))).toMatchObject({ status: 201 });
  });
});
