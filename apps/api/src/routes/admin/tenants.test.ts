import { afterAll, beforeAll, expect, it } from 'vitest';

import { onEachBackend } from '../../testing/on-each-backend.ts';
import { startApi } from '../../testing/start-api.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { acme, admin, as, globex } from '../../testing/tokens.ts';

onEachBackend('tenants', ({ start, bucket, abilities }) => {
  let api: TestApi;
  let headers: { authorization: string };
  const send: TestApi['send'] = (method, path, options = {}) =>
    api.send(method, `/api/v1/admin/tenants${path}`, { ...options, headers: { ...headers, ...options.headers } });
  const uploadAs = async (subject: string, tenant: typeof acme, bytes: string) => {
    const form = new FormData();
    form.set('file', new Blob([bytes]), 'a.txt');
    return api.send('POST', '/api/v1/files/upload', { headers: await as(subject, { tenant }), form });
  };
  let count = 0;
  const fresh = (): { tenant_uuid: string; tenant_slug: string } => {
    count += 1;
    return { tenant_uuid: `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`, tenant_slug: `t${count}` };
  };

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    headers = await admin();
  });
  afterAll(() => api.stop());

  it('are registered once, by an administrator', async () => {
    const pair = { tenant_uuid: acme.uuid, tenant_slug: acme.slug };
    const created = await send('POST', '', { json: { ...pair, quota_bytes: 1000 } });
    expect(created.status).toBe(201);
    expect(created.json).toEqual({ ...pair, buckets: [], quota_bytes: 1000, created_at: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(await send('POST', '/', { json: pair })).toMatchObject({ status: 200, json: created.json });
    expect(await send('POST', '', { json: { ...pair, tenant_uuid: acme.uuid.toUpperCase() } })).toMatchObject({
      status: 200,
      json: created.json,
    });
    for (const json of [
      { ...pair, tenant_slug: 'other' },
      { ...pair, tenant_uuid: globex.uuid },
    ]) {
      expect(await send('POST', '', { json })).toMatchObject({ status: 409, json: { code: 'tenant_conflict' } });
    }
    for (const id of [acme.uuid, acme.uuid.toUpperCase(), acme.slug]) expect((await send('GET', `/${id}`)).json).toEqual(created.json);
    expect(await send('PATCH', '/acme', { json: { quota_bytes: null } })).toMatchObject({ status: 200, json: { quota_bytes: null } });
  });

  it.each([
    [{}, 'tenant_uuid'],
    [{ tenant_uuid: 1, tenant_slug: 'a' }, 'tenant_uuid'],
    [{ tenant_uuid: '', tenant_slug: 'a' }, 'tenant_uuid'],
    [{ tenant_uuid: 'x', tenant_slug: '' }, 'tenant_slug'],
    [{ tenant_uuid: 'x', tenant_slug: 'a\0' }, 'tenant_slug'],
    [{ tenant_uuid: 'x', tenant_slug: 'a'.repeat(129) }, 'tenant_slug'],
    [{ tenant_uuid: 'x', tenant_slug: ' a' }, 'tenant_slug'],
    [{ tenant_uuid: 'x', tenant_slug: 'a', quota_bytes: -1 }, 'quota_bytes'],
    [{ tenant_uuid: 'x', tenant_slug: 'a', quota_bytes: 1.5 }, 'quota_bytes'],
    [{ tenant_uuid: 'x', tenant_slug: 'a', quota_bytes: '1' }, 'quota_bytes'],
    [{ tenant_uuid: 'x', tenant_slug: 'a', quota_bytes: 1e20 }, 'quota_bytes'],
  ])('are not registered from %.60j', async (json, field) => {
    expect(await send('POST', '', { json })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: expect.arrayContaining([{ field, message: expect.any(String) }]) },
    });
  });

  it('are listed in pages', async () => {
    for (let n = 0; n < 5; n++) await send('POST', '', { json: fresh() });
    const all = (await send('GET', '?limit=1000')).json;
    expect(all).toMatchObject({ next_cursor: null, tenants: expect.any(Array) });
    const found: unknown[] = [];
    let cursor: string | null = null;
    do {
      const { json }: { json: { tenants: unknown[]; next_cursor: string | null } } = await send(
        'GET',
        `/?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      expect(json.tenants.length).toBeLessThanOrEqual(2);
      found.push(...json.tenants);
      cursor = json.next_cursor;
    } while (cursor !== null);
    expect(found).toEqual(all.tenants);
    for (const query of ['limit=0', 'limit=1001', 'limit=abc', 'limit=-1', 'limit=', 'limit=1&limit=2', 'cursor=!!!', 'cursor=']) {
      expect(await send('GET', `?${query}`)).toMatchObject({
        status: 400,
        json: { code: 'validation_failed', errors: [{ field: query.split('=')[0] }] },
      });
    }
  });

  it('are renamed, and keep their bucket and every slug they had', async () => {
    const { tenant_uuid: uuid, tenant_slug: slug } = fresh();
    const tenant = { uuid, slug };
    await uploadAs('ann', tenant, 'hello'); // registered on first use
    const before = (await send('GET', `/${uuid}`)).json;
    expect(before).toMatchObject({ tenant_uuid: uuid, tenant_slug: slug, buckets: [bucket(`${slug}-uploads`)] });
    const renamed = await send('PATCH', `/${slug}`, { json: { tenant_slug: `${slug}-new`, quota_bytes: 5000 } });
    expect(renamed).toMatchObject({ status: 200, json: { ...before, tenant_slug: `${slug}-new`, quota_bytes: 5000 } });
    expect(await send('GET', `/${slug}`)).toMatchObject({ status: 404, json: { code: 'tenant_not_found' } });
    for (const each of [slug, `${slug}-new`])
      expect(await uploadAs('ann', { uuid, slug: each }, 'hello')).toMatchObject({
        status: 201,
        json: { bucket: bucket(`${slug}-uploads`) },
      });
    expect(await uploadAs('ann', { uuid, slug: 'never-had' }, 'hello')).toMatchObject({ status: 403, json: { code: 'tenant_mismatch' } });
    expect(await send('POST', '', { json: { ...fresh(), tenant_slug: slug } })).toMatchObject({
      status: 409,
      json: { code: 'tenant_conflict' },
    });
    const other = fresh();
    await send('POST', '', { json: other });
    for (const taken of [slug, `${slug}-new`])
      expect(await send('PATCH', `/${other.tenant_uuid}`, { json: { tenant_slug: taken } })).toMatchObject({
        status: 409,
        json: { code: 'tenant_conflict' },
      });
    expect(await send('PATCH', `/${uuid}`, { json: { tenant_slug: slug } })).toMatchObject({ status: 200, json: { tenant_slug: slug } });
    expect(await send('PATCH', `/${uuid}`, { json: {} })).toMatchObject({ status: 200 });
    for (const json of [{ tenant_slug: 1 }, { tenant_slug: null }, { quota_bytes: 'x' }, [], 'x'])
      expect(await send('PATCH', `/${uuid}`, { json })).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
  });

  it('have exact usage', async () => {
    const { tenant_uuid: uuid, tenant_slug: slug } = fresh();
    const first = await uploadAs('ann', { uuid, slug }, 'hello');
    await uploadAs('bob', { uuid, slug }, 'hello you');
    expect((await send('GET', `/${slug}/usage`)).json).toEqual({ bytes: 14, files: 2, quota_bytes: null });
    await api.send('DELETE', `/api/v1/files/${first.json.id}`, { headers: await as('ann', { tenant: { uuid, slug } }) });
    expect((await send('GET', `/${uuid}/usage`)).json).toEqual({ bytes: 9, files: 1, quota_bytes: null });
  });

  it('get their bucket, the same one each time', async () => {
    const { tenant_uuid: uuid, tenant_slug: slug } = fresh();
    const region = abilities.regions ? 'eu-west-1' : 'us-east-1';
    const provision = (json: unknown, id = uuid) => send('POST', `/${id}/provision-storage`, { json });
    const acl = abilities.acl ? 'public-read' : 'private';
    for (let times = 0; times < 2; times++)
      expect(await provision({ tenant_slug: slug, region, acl })).toMatchObject({
        status: 200,
        json: { bucket: bucket(`${slug}-uploads`), status: 'provisioned' },
      });
    expect((await send('GET', `/${uuid}`)).json).toMatchObject({ tenant_slug: slug, buckets: [bucket(`${slug}-uploads`)] });
    expect((await api.send('GET', `/api/v1/storage/buckets/${bucket(`${slug}-uploads`)}`, { headers })).json).toMatchObject({
      region: abilities.regions ? region : abilities.region,
      tenant_uuid: uuid,
    });
    if (abilities.acl)
      expect((await api.send('GET', `/api/v1/storage/buckets/${bucket(`${slug}-uploads`)}/acl`, { headers })).json.grants).toHaveLength(2);
    expect(await provision({ tenant_slug: slug }, slug)).toMatchObject({ status: 200, json: { bucket: bucket(`${slug}-uploads`) } });
    expect(await provision({ tenant_slug: 'another' })).toMatchObject({ status: 409, json: { code: 'tenant_conflict' } });
    expect(await provision({ tenant_slug: slug }, fresh().tenant_uuid)).toMatchObject({ status: 409, json: { code: 'tenant_conflict' } });
    for (const json of [{}, { tenant_slug: 1 }, { tenant_slug: slug, acl: 'open' }, []])
      expect(await provision(json)).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
    const odd = await provision({ tenant_slug: 'Größe & Söhne' }, fresh().tenant_uuid);
    expect(odd.json.bucket).toMatch(/^[a-z0-9-]{3,63}$/);
    expect(await send('GET', `/${encodeURIComponent('Größe & Söhne')}`)).toMatchObject({
      status: 200,
      json: { buckets: [odd.json.bucket] },
    });
  });

  it.each(['m%FCller', '50%', '%ED%A0%80'])('are not registered by a path that is not percent-encoded UTF-8: %s', async (id) => {
    const { tenant_slug: slug } = fresh();
    expect(await send('POST', `/${id}/provision-storage`, { json: { tenant_slug: slug } })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field: 'tenant_id' }] },
    });
    expect(await send('GET', `/${slug}`)).toMatchObject({ status: 404 });
  });

  it('are deleted when they hold nothing, or by force, and stay taken', async () => {
    const { tenant_uuid: uuid, tenant_slug: slug } = fresh();
    const file = await uploadAs('ann', { uuid, slug }, 'hello');
    await api.send('PUT', `/api/v1/storage/objects/loose?bucket=${bucket(`${slug}-uploads`)}`, { headers, body: 'x' });
    for (const query of ['', '?force=false'])
      expect(await send('DELETE', `/${slug}${query}`)).toMatchObject({ status: 409, json: { code: 'tenant_not_empty' } });
    expect((await api.send('GET', `/api/v1/files/${file.json.id}/download`, { headers })).text).toBe('hello');
    expect(await send('DELETE', `/${slug}?force=maybe`)).toMatchObject({ status: 400 });
    expect(await send('DELETE', `/${slug}?force=true`)).toMatchObject({ status: 204, text: '' });
    for (const path of [`/${uuid}`, `/${slug}`, `/${uuid}/usage`])
      expect(await send('GET', path)).toMatchObject({ status: 404, json: { code: 'tenant_not_found' } });
    expect(await send('DELETE', `/${uuid}`)).toMatchObject({ status: 404, json: { code: 'tenant_not_found' } });
    expect(await api.send('GET', `/api/v1/files/${file.json.id}`, { headers })).toMatchObject({ status: 404 });
    expect(await api.send('GET', `/api/v1/storage/buckets/${bucket(`${slug}-uploads`)}`, { headers })).toMatchObject({ status: 404 });
    expect(await uploadAs('ann', { uuid, slug }, 'hello')).toMatchObject({ status: 403, json: { code: 'tenant_mismatch' } });
    for (const json of [
      { tenant_uuid: uuid, tenant_slug: slug },
      { ...fresh(), tenant_slug: slug },
    ])
      expect(await send('POST', '', { json })).toMatchObject({ status: 409, json: { code: 'tenant_conflict' } });
    const empty = fresh();
    await send('POST', '', { json: empty });
    expect(await send('DELETE', `/${empty.tenant_uuid}`)).toMatchObject({ status: 204 });
  });

  it.each(['none', '%00', 'a%00b', '..', '%2e%2e', '%', '%ff', "'%20or%201=1", 'x'.repeat(2000), '😀'])(
    'that are unknown are 404: %.20s',
    async (id) => {
      const path = encodeURI(id).replaceAll('%25', '%');
      for (const each of [path, `${path}/usage`])
        expect(await send('GET', `/${each}`)).toMatchObject({ status: 404, json: { code: 'tenant_not_found' } });
      expect(await send('PATCH', `/${path}`, { json: { quota_bytes: 1 } })).toMatchObject({
        status: 404,
        json: { code: 'tenant_not_found' },
      });
      expect(await send('DELETE', `/${path}`)).toMatchObject({ status: 404, json: { code: 'tenant_not_found' } });
    },
  );
});

it('an administrator sees at once what another process has changed', async () => {
  const env = { STORAGE_ENABLE_MULTI_TENANCY: 'true' };
  const one = await startApi(env);
  const other = await startApi({ ...env, DATABASE_URL: one.databaseUrl, COFFER_DATA_DIR: one.dataDir });
  try {
    const headers = await admin();
    const path = `/api/v1/admin/tenants/${acme.uuid}`;
    await one.send('POST', '/api/v1/admin/tenants', { headers, json: { tenant_uuid: acme.uuid, tenant_slug: acme.slug, quota_bytes: 1 } });
    expect((await other.send('GET', path, { headers })).json).toMatchObject({ tenant_slug: acme.slug, quota_bytes: 1 });

    await one.send('PATCH', path, { headers, json: { tenant_slug: 'renamed', quota_bytes: 2 } });
    expect((await other.send('GET', path, { headers })).json).toMatchObject({ tenant_slug: 'renamed', quota_bytes: 2 });

    await one.send('DELETE', path, { headers });
    expect(await other.send('GET', path, { headers })).toMatchObject({ status: 404, json: { code: 'tenant_not_found' } });
  } finally {
    await other.stop();
    await one.stop();
  }
});
