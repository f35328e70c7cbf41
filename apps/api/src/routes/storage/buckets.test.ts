import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startApi } from '../../testing/start-api.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { acme, admin, globex } from '../../testing/tokens.ts';

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
const owned = { owner: { display_name: expect.any(String), id: expect.any(String) } };

describe('buckets', () => {
  let api: TestApi;
  let headers: { authorization: string };
  const send: TestApi['send'] = (method, path, options) => api.send(method, `/api/v1/storage/buckets${path}`, { headers, ...options });

  beforeAll(async () => {
    api = await startApi();
    headers = await admin();
  });
  afterAll(() => api.stop());

  it('are created, described, listed and deleted', async () => {
    const bucket = { name: 'one', region: 'us-east-1', creation_date: time, versioning_enabled: false, tenant_uuid: null };
    expect(await send('POST', '', { json: { name: 'one' } })).toMatchObject({ status: 201 });
    expect(await send('POST', '/', { json: { name: 'two', region: 'eu-west-1', acl: 'public-read' } })).toMatchObject({
      status: 201,
      json: { name: 'two', region: 'eu-west-1' },
    });
    expect((await send('GET', '/one')).json).toEqual(bucket);
    expect((await send('GET', '')).json).toEqual({ buckets: [bucket, { ...bucket, name: 'two', region: 'eu-west-1' }], total: 2 });
    expect((await send('GET', '/two/acl')).json.grants).toHaveLength(2);
    for (const name of ['one', 'two']) expect(await send('DELETE', `/${name}`)).toMatchObject({ status: 204, text: '' });
    expect((await send('GET', '')).json).toEqual({ buckets: [], total: 0 });
  });

  it('of a name exist once, and those that do not exist are 404', async () => {
    await send('POST', '', { json: { name: 'once' } });
    expect(await send('POST', '', { json: { name: 'once' } })).toMatchObject({ status: 409, json: { code: 'bucket_already_exists' } });
    for (const [method, path] of [
      ['GET', '/none'],
      ['DELETE', '/none'],
      ['DELETE', '/none?force=true'],
      ['GET', '/none/acl'],
    ] as const) {
      expect(await send(method, path)).toMatchObject({ status: 404, json: { code: 'no_such_bucket' } });
    }
    expect(await send('PUT', '/none/acl', { json: { acl: 'private' } })).toMatchObject({ status: 404, json: { code: 'no_such_bucket' } });
    await send('DELETE', '/once');
  });

  it('with objects are only deleted by force', async () => {
    await send('POST', '', { json: { name: 'full' } });
    for (const key of ['a', 'b/c']) await api.send('PUT', `/api/v1/storage/objects/${key}?bucket=full`, { headers, body: 'x' });
    for (const query of ['', '?force=false'])
      expect(await send('DELETE', `/full${query}`)).toMatchObject({ status: 409, json: { code: 'bucket_not_empty' } });
    for (const query of ['?force=', '?force=yes', '?force=1', '?force=TRUE', '?force=true&force=true'])
      expect(await send('DELETE', `/full${query}`)).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
    expect(await send('DELETE', '/full?force=true')).toMatchObject({ status: 204 });
    expect(await send('GET', '/full')).toMatchObject({ status: 404 });
  });

  it.each([
    '',
    'ab',
    'a'.repeat(64),
    'UPPER',
    'under_score',
    'dot.ted',
    '-dash',
    'dash-',
    '192-168-1-1',
    'xn--a',
    'sthree-a',
    'a-s3alias',
    'a--ol-s3',
    'ü-bucket',
    'a b',
    '../etc',
    'a/b',
    'a\0b',
  ])('are not called %j', async (name) => {
    expect(await send('POST', '', { json: { name } })).toMatchObject({ status: 400, json: { code: 'invalid_bucket_name' } });
    if (name === '') return;
    expect(await send('GET', `/${encodeURIComponent(name)}`)).toMatchObject({ status: 400, json: { code: 'invalid_bucket_name' } });
    expect(await send('DELETE', `/${encodeURIComponent(name)}`)).toMatchObject({ status: 400, json: { code: 'invalid_bucket_name' } });
    const query = `?bucket=${encodeURIComponent(name)}`;
    expect(await api.send('PUT', `/api/v1/storage/objects/a${query}`, { headers, body: 'x' })).toMatchObject({
      status: 400,
      json: { code: 'invalid_bucket_name' },
    });
    expect(await api.send('GET', `/api/v1/storage/objects${query}`, { headers })).toMatchObject({
      status: 400,
      json: { code: 'invalid_bucket_name' },
    });
  });

  it.each([
    [{}, 'name'],
    [{ name: 1 }, 'name'],
    [{ name: 'abc', acl: 'open' }, 'acl'],
    [{ name: 'abc', region: 1 }, 'region'],
    [{ name: 'abc', tenant_uuid: 5 }, 'tenant_uuid'],
    [[], 'body'],
    ['abc', 'body'],
    [null, 'body'],
  ])('are not created from %j', async (json, field) => {
    expect(await send('POST', '', { json })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field, message: expect.any(String) }] },
    });
  });

  it('have any canned ACL', async () => {
    await send('POST', '', { json: { name: 'acls' } });
    for (const acl of [
      'private',
      'public-read',
      'public-read-write',
      'authenticated-read',
      'aws-exec-read',
      'bucket-owner-read',
      'bucket-owner-full-control',
    ]) {
      const set = await send('PUT', '/acls/acl', { json: { acl } });
      expect(set).toMatchObject({ status: 200, json: owned });
      expect((await send('GET', '/acls/acl')).json).toEqual(set.json);
    }
    expect(await send('PUT', '/acls/acl', { json: { acl: 'public' } })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field: 'acl' }] },
    });
    await send('DELETE', '/acls');
  });

  it('of the local backend have neither versions nor lifecycle rules', async () => {
    await send('POST', '', { json: { name: 'plain' } });
    const unsupported = { status: 501, json: { code: 'not_supported' } };
    expect(await send('GET', '/plain/versioning')).toMatchObject(unsupported);
    expect(await send('PUT', '/plain/versioning', { json: { enabled: true } })).toMatchObject(unsupported);
    expect(await send('GET', '/plain/lifecycle')).toMatchObject(unsupported);
    expect(
      await send('PUT', '/plain/lifecycle', {
        json: {
          rules: [
            { id: 'tmp', prefix: 'tmp/', expire_days: 7, abort_multipart_days: 1, transition: { days: 30, storage_class: 'GLACIER' } },
          ],
        },
      }),
    ).toMatchObject(unsupported);
    expect(await send('DELETE', '/plain/lifecycle')).toMatchObject(unsupported);
    expect(await send('PUT', '/plain/versioning', { json: { enabled: 'yes' } })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed' },
    });
    expect(await send('PUT', '/plain/lifecycle', { json: { rules: [{ id: 'tmp', prefix: '', expire_days: 0 }] } })).toMatchObject({
      status: 400,
      json: { errors: [{ field: 'rules.0.expire_days' }] },
    });
    await send('DELETE', '/plain');
  });

  it('belong to a registered tenant, and to one at most', async () => {
    await api.send('POST', '/api/v1/admin/tenants', { headers, json: { tenant_uuid: acme.uuid, tenant_slug: acme.slug } });
    expect(await send('POST', '', { json: { name: 'acme-more', tenant_uuid: acme.uuid.toUpperCase() } })).toMatchObject({
      status: 201,
      json: { name: 'acme-more', tenant_uuid: acme.uuid },
    });
    expect((await send('GET', '/acme-more')).json.tenant_uuid).toBe(acme.uuid);
    expect((await send('GET', '')).json.buckets).toEqual([expect.objectContaining({ name: 'acme-more', tenant_uuid: acme.uuid })]);
    expect((await api.send('GET', `/api/v1/admin/tenants/acme`, { headers })).json.buckets).toEqual(['acme-more']);
    expect(await send('POST', '', { json: { name: 'for-nobody', tenant_uuid: globex.uuid } })).toMatchObject({
      status: 404,
      json: { code: 'tenant_not_found' },
    });
    expect(await send('GET', '/for-nobody')).toMatchObject({ status: 404 });
    for (const name of ['coffer-uploads', 'staging-uploads'])
      expect(await send('POST', '', { json: { name, tenant_uuid: acme.uuid } })).toMatchObject({
        status: 409,
        json: { code: 'tenant_conflict' },
      });
    expect(await send('DELETE', '/acme-more')).toMatchObject({ status: 204 });
    expect((await api.send('GET', `/api/v1/admin/tenants/acme`, { headers })).json.buckets).toEqual([]);
  });
});
