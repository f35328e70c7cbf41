import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { uploadFile } from './testing/files.ts';
import { onEachBackend } from './testing/on-each-backend.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as, globex, service } from './testing/tokens.ts';
import type { TestTenant } from './testing/tokens.ts';

const put = async (api: TestApi, headers: Record<string, string>, query = '') =>
  api.send('PUT', `/api/v1/storage/objects/x${query}`, { headers, body: 'x' });
const required = { status: 400, json: { code: 'tenant_context_required' } };

onEachBackend('the bucket of a request', ({ start, bucket }) => {
  let api: TestApi;
  const begin = async (env: Record<string, string>): Promise<void> => {
    api = await start(env);
  };

  describe('with multi-tenancy', () => {
    beforeAll(() => begin({ STORAGE_ENABLE_MULTI_TENANCY: 'true' }));
    afterAll(() => api.stop());

    it("is the tenant's, or the shared one", async () => {
      expect((await uploadFile(api, await as('ann', { tenant: acme }))).json).toMatchObject({
        bucket: bucket('acme-uploads'),
        tenant_uuid: acme.uuid,
      });
      expect((await uploadFile(api, await as('ann'))).json).toMatchObject({ bucket: bucket('staging-uploads'), tenant_uuid: null });
      expect((await uploadFile(api, { ...(await admin()), 'x-tenant-id': 'acme' })).json).toMatchObject({
        bucket: bucket('acme-uploads'),
        tenant_uuid: acme.uuid,
        owner_id: 'root',
      });
      expect((await uploadFile(api, await admin())).json).toMatchObject({ bucket: bucket('staging-uploads'), tenant_uuid: null });
      expect((await uploadFile(api, { ...(await service()), 'x-tenant-id': acme.uuid })).json).toMatchObject({
        bucket: bucket('acme-uploads'),
        owner_id: 'worker',
      });
      expect((await put(api, await admin())).json.bucket).toBe(bucket('staging-uploads'));
      for (const token of [await admin(), await service()])
        expect((await put(api, { ...token, 'x-tenant-id': 'acme' })).json.bucket).toBe(bucket('acme-uploads'));
      expect((await put(api, await as('root', { roles: ['admin'], tenant: acme }))).json.bucket).toBe(bucket('acme-uploads'));
    });

    it('is the one an administrator names, whosever it is', async () => {
      const headers = { ...(await admin()), 'x-tenant-id': 'acme' };
      expect((await put(api, headers, `?bucket=${bucket('staging-uploads')}`)).json.bucket).toBe(bucket('staging-uploads'));
      expect(await put(api, headers, `?bucket=${bucket('never-made')}`)).toMatchObject({ status: 404, json: { code: 'no_such_bucket' } });
    });

    it('is the primary one of several, and a service may name each', async () => {
      const headers = await admin();
      await api.send('POST', '/api/v1/admin/tenants', { headers, json: { tenant_uuid: globex.uuid, tenant_slug: globex.slug } });
      for (const name of ['globex-first', 'globex-second'].map(bucket))
        await api.send('POST', '/api/v1/storage/buckets', { headers, json: { name, tenant_uuid: globex.uuid } });
      expect((await uploadFile(api, await as('gus', { tenant: globex }))).json.bucket).toBe(bucket('globex-first'));
      const worker = { ...(await service()), 'x-tenant-id': 'globex' };
      expect((await put(api, worker)).json.bucket).toBe(bucket('globex-first'));
      expect((await put(api, worker, `?bucket=${bucket('globex-second')}`)).json.bucket).toBe(bucket('globex-second'));
      expect(await put(api, worker, `?bucket=${bucket('acme-uploads')}`)).toMatchObject({ status: 403, json: { code: 'forbidden' } });
      expect(await put(api, worker, `?bucket=${bucket('globex-uploads')}`)).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    });

    it('of a new tenant may be named by a service from the start', async () => {
      const tenant = { tenant_uuid: '22222222-2222-4222-8222-222222222222', tenant_slug: 'fresh' };
      await api.send('POST', '/api/v1/admin/tenants', { headers: await admin(), json: tenant });
      const worker = { ...(await service()), 'x-tenant-id': 'fresh' };
      expect(await put(api, worker, `?bucket=${bucket('acme-uploads')}`)).toMatchObject({ status: 403 });
      expect((await put(api, worker)).json.bucket).toBe(bucket('fresh-uploads'));
      expect((await put(api, worker, `?bucket=${bucket('fresh-uploads')}`)).json.bucket).toBe(bucket('fresh-uploads'));
    });

    it("is asked for by the tenant's former slug too, while the token carries it", async () => {
      const tenant = { uuid: '44444444-4444-4444-8444-444444444444', slug: 'old-name' };
      const headers = await as('ann', { tenant });
      await uploadFile(api, headers);
      await api.send('PATCH', `/api/v1/admin/tenants/${tenant.uuid}`, { headers: await admin(), json: { tenant_slug: 'new-name' } });
      for (const id of ['old-name', 'new-name', tenant.uuid])
        expect(await api.send('GET', '/api/v1/files', { headers: { ...headers, 'x-tenant-id': id } })).toMatchObject({ status: 200 });
      expect(await api.send('GET', '/api/v1/files', { headers: { ...(await service()), 'x-tenant-id': 'old-name' } })).toMatchObject({
        status: 404,
        json: { code: 'tenant_not_found' },
      });
    });

    it.each(['', ' ', 'a'.repeat(200), 'a\tb', 'acme, acme'])('is asked for by no tenant called %j', async (id) => {
      const { status, json } = await api.send('GET', '/api/v1/files', { headers: { ...(await service()), 'x-tenant-id': id } });
      expect({ status, code: json.code }).toSatisfy(
        ({ status: got, code }) => (got === 400 && code === 'validation_failed') || (got === 404 && code === 'tenant_not_found'),
      );
    });
  });

  describe('without multi-tenancy', () => {
    beforeAll(() => begin({}));
    afterAll(() => api.stop());

    it('is the default one, and files still belong to tenants', async () => {
      expect((await uploadFile(api, await as('ann', { tenant: acme }))).json).toMatchObject({
        bucket: bucket('coffer-uploads'),
        tenant_uuid: acme.uuid,
      });
      expect((await uploadFile(api, await as('ann'))).json).toMatchObject({ bucket: bucket('coffer-uploads'), tenant_uuid: null });
      expect((await put(api, { ...(await admin()), 'x-tenant-id': 'acme' })).json.bucket).toBe(bucket('coffer-uploads'));
      expect((await api.send('GET', '/api/v1/files', { headers: await as('ann', { tenant: globex }) })).json.files).toEqual([]);
      expect((await api.send('GET', '/api/v1/admin/tenants/acme', { headers: await admin() })).json.buckets).toEqual([]);
    });

    it("is no service's, since all tenants share it", async () => {
      const worker = { ...(await service()), 'x-tenant-id': 'acme' };
      for (const query of ['', `?bucket=${bucket('coffer-uploads')}`, `?bucket=${bucket('acme-uploads')}`])
        expect(await put(api, worker, query)).toMatchObject({ status: 403, json: { code: 'forbidden' } });
      await api.send('POST', '/api/v1/storage/buckets', {
        headers: await admin(),
        json: { name: bucket('acme-own'), tenant_uuid: acme.uuid },
      });
      expect((await put(api, worker, `?bucket=${bucket('acme-own')}`)).json.bucket).toBe(bucket('acme-own'));
      expect((await uploadFile(api, worker)).json.bucket).toBe(bucket('coffer-uploads'));
    });
  });

  describe('where a tenant is required', () => {
    beforeAll(() => begin({ STORAGE_ENABLE_MULTI_TENANCY: 'true', STORAGE_REQUIRE_TENANT_CONTEXT: 'true' }));
    afterAll(() => api.stop());

    it('is refused to whoever has none', async () => {
      for (const headers of [await as('ann'), await admin(), await service()])
        expect(await uploadFile(api, headers)).toMatchObject(required);
      expect(await api.send('GET', '/api/v1/files', { headers: await as('ann') })).toMatchObject(required);
      expect(
        await api.send('POST', '/api/v1/files/presigned-upload', {
          headers: await as('ann'),
          json: { filename: 'a', content_type: 'text/plain', size_bytes: 1 },
        }),
      ).toMatchObject(required);
      for (const headers of [await admin(), await service()]) {
        expect(await put(api, headers)).toMatchObject(required);
        expect(await api.send('GET', '/api/v1/storage/objects', { headers })).toMatchObject(required);
      }
      expect(await uploadFile(api, await as('ann', { tenant: acme }))).toMatchObject({ status: 201 });
      expect((await put(api, { ...(await admin()), 'x-tenant-id': 'acme' })).json.bucket).toBe(bucket('acme-uploads'));
      expect((await put(api, await admin(), `?bucket=${bucket('acme-uploads')}`)).json.bucket).toBe(bucket('acme-uploads'));
    });
  });

  describe('without auto-provisioning', () => {
    beforeAll(() => begin({ STORAGE_ENABLE_MULTI_TENANCY: 'true', STORAGE_AUTO_PROVISION: 'false' }));
    afterAll(() => api.stop());

    it('has to be made first', async () => {
      const ann = await as('ann', { tenant: acme });
      const presign = () =>
        api.send('POST', '/api/v1/files/presigned-upload', {
          headers: ann,
          json: { filename: 'a', content_type: 'text/plain', size_bytes: 1 },
        });
      for (const answer of [await uploadFile(api, ann), await presign(), await presign()])
        expect(answer).toMatchObject({ status: 404, json: { code: 'no_such_bucket' } });
      for (const query of ['', '?status=pending'])
        expect((await api.send('GET', `/api/v1/files${query}`, { headers: ann })).json.files).toEqual([]);
      expect(
        await api.send('POST', `/api/v1/admin/tenants/${acme.uuid}/provision-storage`, {
          headers: await admin(),
          json: { tenant_slug: 'acme' },
        }),
      ).toMatchObject({ status: 200 });
      expect(await uploadFile(api, ann)).toMatchObject({ status: 201, json: { bucket: bucket('acme-uploads') } });
      expect(await presign()).toMatchObject({ status: 201 });
    });
  });

  describe.each(['true', 'false'])('of a tenant that has none yet, with auto-provisioning %s', (autoProvision) => {
    beforeAll(() => begin({ STORAGE_ENABLE_MULTI_TENANCY: 'true', STORAGE_AUTO_PROVISION: autoProvision }));
    afterAll(() => api.stop());
    const tenantOf = (slug: string): TestTenant => ({ uuid: randomUUID(), slug });
    const create = async (name: string) =>
      api.send('POST', '/api/v1/storage/buckets', { headers: await admin(), json: { name: bucket(name) } });

    it('may be made before the tenant comes', async () => {
      await create('early-uploads');
      const ann = await as('ann', { tenant: tenantOf('early') });
      expect(await uploadFile(api, ann)).toMatchObject({ status: 201, json: { bucket: bucket('early-uploads') } });
    });

    it("is never one that holds something and is nobody's, unless an administrator gives it", async () => {
      await create('logs-uploads');
      await put(api, await admin(), `?bucket=${bucket('logs-uploads')}`);
      const tenant = tenantOf('logs');
      const ann = await as('ann', { tenant });
      const worker = { ...(await service()), 'x-tenant-id': tenant.uuid };
      const refused = { status: 409, json: { code: 'tenant_conflict' } };
      expect(await uploadFile(api, ann)).toMatchObject(refused);
      for (const query of ['', `?bucket=${bucket('logs-uploads')}`]) {
        expect(await put(api, worker, query)).toMatchObject(refused);
        expect(await api.send('GET', `/api/v1/storage/objects${query}`, { headers: worker })).toMatchObject(refused);
      }
      const root = await admin();
      const about = () => api.send('GET', `/api/v1/admin/tenants/${tenant.uuid}`, { headers: root });
      expect((await about()).json).toMatchObject({ buckets: [] });
      expect(await api.send('DELETE', `/api/v1/admin/tenants/${tenant.uuid}?force=true`, { headers: root })).toMatchObject({ status: 204 });
      expect(await api.send('GET', `/api/v1/storage/objects/x?bucket=${bucket('logs-uploads')}`, { headers: root })).toMatchObject({
        text: 'x',
      });
    });

    it('is one that holds something if an administrator gives it', async () => {
      await create('moved-uploads');
      const root = await admin();
      await put(api, root, `?bucket=${bucket('moved-uploads')}`);
      const tenant = tenantOf('moved');
      const given = { status: 200, json: { bucket: bucket('moved-uploads') } };
      for (let times = 0; times < 2; times++)
        expect(
          await api.send('POST', `/api/v1/admin/tenants/${tenant.uuid}/provision-storage`, {
            headers: root,
            json: { tenant_slug: 'moved' },
          }),
        ).toMatchObject(given);
      expect(await uploadFile(api, await as('ann', { tenant }))).toMatchObject({ status: 201, json: { bucket: bucket('moved-uploads') } });
    });
  });
});

it('a service uses a bucket that another process has just given to its tenant', async () => {
  const env = { STORAGE_ENABLE_MULTI_TENANCY: 'true' };
  const one = await startApi(env);
  const other = await startApi({ ...env, DATABASE_URL: one.databaseUrl, COFFER_DATA_DIR: one.dataDir });
  try {
    const root = await admin();
    const headers = { ...(await service()), 'x-tenant-id': acme.slug };
    await one.send('POST', '/api/v1/admin/tenants', { headers: root, json: { tenant_uuid: acme.uuid, tenant_slug: acme.slug } });
    expect((await put(other, headers)).status).toBe(201);
    expect((await put(other, headers, '?bucket=acme-more')).status).toBe(403); // now the process remembers the tenant with its first bucket

    await one.send('POST', '/api/v1/storage/buckets', { headers: root, json: { name: 'acme-more', tenant_uuid: acme.uuid } });

    expect((await put(other, headers, '?bucket=acme-more')).status).toBe(201);
  } finally {
    await other.stop();
    await one.stop();
  }
});
