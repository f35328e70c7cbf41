import { afterAll, beforeAll, expect, it } from 'vitest';

import { onEachBackend, where } from '../../testing/on-each-backend.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { acme, admin, globex } from '../../testing/tokens.ts';

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
const owned = { owner: { display_name: expect.any(String), id: expect.any(String) } };

onEachBackend('buckets', ({ start, bucket, abilities }) => {
  let api: TestApi;
  let headers: { authorization: string };
  const send: TestApi['send'] = (method, path, options) => api.send(method, `/api/v1/storage/buckets${path}`, { headers, ...options });

  beforeAll(async () => {
    api = await start();
    headers = await admin();
  });
  afterAll(() => api.stop());

  /** Only the buckets of this suite: others share the server. */
  const listed = async (): Promise<unknown[]> => {
    const { buckets, total } = (await send('GET', '')).json as { buckets: { name: string }[]; total: number };
    expect(total).toBe(buckets.length);
    return buckets.filter(({ name }) => name.startsWith(bucket('')));
  };

  it('are created, described, listed and deleted', async () => {
    const one = { name: bucket('one'), region: abilities.region, creation_date: time, versioning_enabled: false, tenant_uuid: null };
    const two = { ...one, name: bucket('two') };
    expect(await send('POST', '', { json: { name: one.name } })).toMatchObject({
      status: 201,
      json: { ...one, region: expect.any(String) },
    });
    expect(await send('POST', '/', { json: { name: two.name, region: 'us-east-1' } })).toMatchObject({ status: 201 });
    const { json: first } = await send('GET', `/${one.name}`);
    expect(first).toEqual(one);
    expect(await listed()).toEqual([first, two]); // the creation date stays the same, whenever it is read
    for (const { name } of [one, two]) expect(await send('DELETE', `/${name}`)).toMatchObject({ status: 204, text: '' });
    expect(await listed()).toEqual([]);
  });

  where(abilities.regions, () =>
    it('are in the region that they were made for', async () => {
      const far = { name: bucket('far'), region: 'eu-west-1' };
      expect(await send('POST', '', { json: far })).toMatchObject({ status: 201, json: far });
      expect((await send('GET', `/${far.name}`)).json).toMatchObject(far);
      expect(await send('DELETE', `/${far.name}`)).toMatchObject({ status: 204 });
    }),
  );

  it('exist once per name, and are 404 if they do not exist', async () => {
    await send('POST', '', { json: { name: bucket('once') } });
    expect(await send('POST', '', { json: { name: bucket('once') } })).toMatchObject({
      status: 409,
      json: { code: 'bucket_already_exists' },
    });
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['DELETE', '?force=true'],
      ...(abilities.acl ? ([['GET', '/acl']] as const) : []),
      ...(abilities.versioning ? ([['GET', '/versioning']] as const) : []),
      ...(abilities.lifecycle
        ? ([
            ['GET', '/lifecycle'],
            ['DELETE', '/lifecycle'],
          ] as const)
        : []),
    ] as const) {
      expect(await send(method, `/${bucket('none')}${path}`)).toMatchObject({ status: 404, json: { code: 'no_such_bucket' } });
    }
    if (abilities.acl)
      expect(await send('PUT', `/${bucket('none')}/acl`, { json: { acl: 'private' } })).toMatchObject({
        status: 404,
        json: { code: 'no_such_bucket' },
      });
    await send('DELETE', `/${bucket('once')}`);
  });

  it('with objects are only deleted by force', async () => {
    await send('POST', '', { json: { name: bucket('full') } });
    for (const key of ['a', 'b/c'])
      await api.send('PUT', `/api/v1/storage/objects/${key}?bucket=${bucket('full')}`, { headers, body: 'x' });
    for (const query of ['', '?force=false', '?force=0'])
      expect(await send('DELETE', `/${bucket('full')}${query}`)).toMatchObject({ status: 409, json: { code: 'bucket_not_empty' } });
    for (const query of ['?force=', '?force=yes', '?force=2', '?force=true&force=true'])
      expect(await send('DELETE', `/${bucket('full')}${query}`)).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
    expect(await send('DELETE', `/${bucket('full')}?force=true`)).toMatchObject({ status: 204 });
    expect(await send('GET', `/${bucket('full')}`)).toMatchObject({ status: 404 });
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
    [{ name: 'abc', region: 'x'.repeat(65) }, 'region'],
    [{ name: 'abc', region: 'eu west' }, 'region'],
    [{ name: 'abc', region: '\0' }, 'region'],
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

  const cannedAcls = [
    'private',
    'public-read',
    'public-read-write',
    'authenticated-read',
    'aws-exec-read',
    'bucket-owner-read',
    'bucket-owner-full-control',
  ];

  where(abilities.acl, () =>
    it('have any canned ACL, from the start or later', async () => {
      await send('POST', '', { json: { name: bucket('acls'), acl: 'public-read' } });
      expect((await send('GET', `/${bucket('acls')}/acl`)).json.grants).toHaveLength(2);
      for (const acl of cannedAcls) {
        const set = await send('PUT', `/${bucket('acls')}/acl`, { json: { acl } });
        if (abilities.refusedAcls.includes(acl)) {
          expect(set).toMatchObject({ status: 400, json: { code: 'invalid_argument' } });
          continue;
        }
        expect(set).toMatchObject({ status: 200, json: owned });
        expect((await send('GET', `/${bucket('acls')}/acl`)).json).toEqual(set.json);
      }
      expect(await send('PUT', `/${bucket('acls')}/acl`, { json: { acl: 'public' } })).toMatchObject({
        status: 400,
        json: { code: 'validation_failed', errors: [{ field: 'acl' }] },
      });
      await send('DELETE', `/${bucket('acls')}`);
    }),
  );

  where(!abilities.acl, () =>
    it('have no ACLs where the provider has none, and are not made as if they had', async () => {
      const unsupported = { status: 501, json: { code: 'acl_not_supported' } };
      expect(await send('POST', '', { json: { name: bucket('acls'), acl: 'public-read' } })).toMatchObject(unsupported);
      expect(await send('GET', `/${bucket('acls')}`)).toMatchObject({ status: 404 });
      expect(await send('POST', '', { json: { name: bucket('acls'), acl: 'private' } })).toMatchObject({ status: 201 });
      expect(await send('GET', `/${bucket('acls')}/acl`)).toMatchObject(unsupported);
      for (const acl of cannedAcls) expect(await send('PUT', `/${bucket('acls')}/acl`, { json: { acl } })).toMatchObject(unsupported);
      await send('DELETE', `/${bucket('acls')}`);
    }),
  );

  it('belong to a registered tenant, and to one at most', async () => {
    await api.send('POST', '/api/v1/admin/tenants', { headers, json: { tenant_uuid: acme.uuid, tenant_slug: acme.slug } });
    expect(await send('POST', '', { json: { name: bucket('acme-more'), tenant_uuid: acme.uuid.toUpperCase() } })).toMatchObject({
      status: 201,
      json: { name: bucket('acme-more'), tenant_uuid: acme.uuid },
    });
    expect((await send('GET', `/${bucket('acme-more')}`)).json.tenant_uuid).toBe(acme.uuid);
    expect(await listed()).toEqual([expect.objectContaining({ name: bucket('acme-more'), tenant_uuid: acme.uuid })]);
    expect((await api.send('GET', `/api/v1/admin/tenants/acme`, { headers })).json.buckets).toEqual([bucket('acme-more')]);
    expect(await send('POST', '', { json: { name: bucket('for-nobody'), tenant_uuid: globex.uuid } })).toMatchObject({
      status: 404,
      json: { code: 'tenant_not_found' },
    });
    expect(await send('GET', `/${bucket('for-nobody')}`)).toMatchObject({ status: 404 });
    for (const name of ['coffer-uploads', 'staging-uploads'].map(bucket))
      expect(await send('POST', '', { json: { name, tenant_uuid: acme.uuid } })).toMatchObject({
        status: 409,
        json: { code: 'tenant_conflict' },
      });
    await api.runtime.storage.deleteBucket(bucket('acme-more')); // as somebody might do at the provider
    expect(await send('POST', '', { json: { name: bucket('acme-more') } })).toMatchObject({
      status: 201,
      json: { tenant_uuid: acme.uuid },
    });
    expect(await send('DELETE', `/${bucket('acme-more')}`)).toMatchObject({ status: 204 });
    expect((await api.send('GET', `/api/v1/admin/tenants/acme`, { headers })).json.buckets).toEqual([]);
  });
});
