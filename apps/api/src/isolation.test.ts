import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { rawToken } from './testing/forge.ts';
import { fileForm, sendPresigned, uploadFile } from './testing/files.ts';
import type { Answer, SendOptions } from './testing/send.ts';
import { onEachBackend } from './testing/on-each-backend.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as, globex, service } from './testing/tokens.ts';

type Headers = Record<string, string>;
interface Endpoint {
  readonly method: string;
  readonly path: string;
  readonly options?: () => SendOptions;
}

const owner = { tenant: acme };

onEachBackend('what belongs to one tenant', ({ start, bucket }) => {
  let api: TestApi;
  let ann: Headers;
  let closed: string; // ann's private file
  let open: string; // ann's public file
  let pending: Answer;
  let before: unknown;

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    ann = await as('ann', owner);
    closed = (await uploadFile(api, ann, 'closed')).json.id;
    open = (await uploadFile(api, ann, 'open', { fields: { is_public: 'true' } })).json.id;
    pending = await api.send('POST', '/api/v1/files/presigned-upload', {
      headers: ann,
      json: { filename: 'p', content_type: 'text/plain', size_bytes: 5 },
    });
    await sendPresigned(pending, 'hello', 'text/plain');
    await api.send('PUT', `/api/v1/storage/objects/loose?bucket=${bucket('acme-uploads')}`, { headers: await admin(), body: 'loose' });
    await uploadFile(api, await as('gus', { tenant: globex })); // registers the other tenant
    before = await state();
  });
  afterAll(async () => {
    expect(await state()).toEqual(before);
    await api.stop();
  });

  /** Everything that the tenant has, as its own users and the administrator see it. */
  const state = async (): Promise<unknown> => {
    const root = await admin();
    const texts = await Promise.all(
      [closed, open].map(async (id) => (await api.send('GET', `/api/v1/files/${id}/download`, { headers: ann })).text),
    );
    const records = await Promise.all(
      [closed, open, pending.json.file_id as string].map(
        async (id) => (await api.send('GET', `/api/v1/files/${id}`, { headers: ann })).json,
      ),
    );
    const objects = (await api.send('GET', `/api/v1/storage/objects?bucket=${bucket('acme-uploads')}`, { headers: root })).json;
    const { json: tenant } = await api.send('GET', '/api/v1/admin/tenants/acme', { headers: root });
    const { json: usage } = await api.send('GET', '/api/v1/admin/tenants/acme/usage', { headers: root });
    return { texts, records, objects, tenant, usage };
  };

  const onFile = (id: string): Endpoint[] => [
    { method: 'GET', path: `/api/v1/files/${id}` },
    { method: 'HEAD', path: `/api/v1/files/${id}/download` },
    { method: 'GET', path: `/api/v1/files/${id}/download` },
    { method: 'GET', path: `/api/v1/files/${id}/download?redirect=true` },
    { method: 'POST', path: `/api/v1/files/${id}/presigned-download` },
    { method: 'POST', path: `/api/v1/files/${id}/complete` },
    { method: 'PATCH', path: `/api/v1/files/${id}`, options: () => ({ json: { filename: 'stolen', is_public: true } }) },
    { method: 'DELETE', path: `/api/v1/files/${id}` },
  ];
  const onObjects: Endpoint[] = [
    { method: 'GET', path: `/api/v1/storage/objects?bucket=${bucket('acme-uploads')}` },
    { method: 'GET', path: `/api/v1/storage/objects/loose?bucket=${bucket('acme-uploads')}` },
    { method: 'HEAD', path: `/api/v1/storage/objects/loose?bucket=${bucket('acme-uploads')}` },
    { method: 'PUT', path: `/api/v1/storage/objects/loose?bucket=${bucket('acme-uploads')}`, options: () => ({ body: 'stolen' }) },
    {
      method: 'POST',
      path: '/api/v1/storage/objects/loose',
      options: () => ({ form: fileForm('stolen', { fields: { bucket: bucket('acme-uploads') } }) }),
    },
    {
      method: 'POST',
      path: '/api/v1/storage/objects/loose',
      options: () => ({ form: fileForm('stolen', { fields: { bucket: bucket('acme-uploads') }, last: true }) }),
    },
    { method: 'DELETE', path: `/api/v1/storage/objects/loose?bucket=${bucket('acme-uploads')}` },
    { method: 'GET', path: `/api/v1/storage/objects/loose/acl?bucket=${bucket('acme-uploads')}` },
    {
      method: 'PUT',
      path: `/api/v1/storage/objects/loose/acl?bucket=${bucket('acme-uploads')}`,
      options: () => ({ json: { acl: 'public-read' } }),
    },
    {
      method: 'POST',
      path: '/api/v1/storage/copy',
      options: () => ({ json: { source: { bucket: bucket('acme-uploads'), key: 'loose' }, destination: { key: 'x' } } }),
    },
    {
      method: 'POST',
      path: '/api/v1/storage/copy',
      options: () => ({ json: { source: { key: 'x' }, destination: { bucket: bucket('acme-uploads'), key: 'loose' } } }),
    },
    {
      method: 'POST',
      path: '/api/v1/storage/move',
      options: () => ({ json: { source: { bucket: bucket('acme-uploads'), key: 'loose' }, destination: { key: 'x' } } }),
    },
    { method: 'POST', path: '/api/v1/storage/delete', options: () => ({ json: { bucket: bucket('acme-uploads'), keys: ['loose'] } }) },
  ];
  const onBuckets: Endpoint[] = [
    { method: 'POST', path: '/api/v1/storage/buckets', options: () => ({ json: { name: bucket('mine') } }) },
    { method: 'GET', path: '/api/v1/storage/buckets' },
    { method: 'GET', path: '/api/v1/storage/buckets/' },
    { method: 'GET', path: `/api/v1/storage/buckets/${bucket('acme-uploads')}` },
    { method: 'DELETE', path: `/api/v1/storage/buckets/${bucket('acme-uploads')}?force=true` },
    { method: 'GET', path: `/api/v1/storage/buckets/${bucket('acme-uploads')}/acl` },
    { method: 'PUT', path: `/api/v1/storage/buckets/${bucket('acme-uploads')}/acl`, options: () => ({ json: { acl: 'public-read' } }) },
    { method: 'GET', path: `/api/v1/storage/buckets/${bucket('acme-uploads')}/versioning` },
    { method: 'PUT', path: `/api/v1/storage/buckets/${bucket('acme-uploads')}/versioning`, options: () => ({ json: { enabled: true } }) },
    { method: 'GET', path: `/api/v1/storage/buckets/${bucket('acme-uploads')}/lifecycle` },
    {
      method: 'PUT',
      path: `/api/v1/storage/buckets/${bucket('acme-uploads')}/lifecycle`,
      options: () => ({ json: { rules: [{ id: 'x', prefix: '', expire_days: 1 }] } }),
    },
    { method: 'DELETE', path: `/api/v1/storage/buckets/${bucket('acme-uploads')}/lifecycle` },
  ];
  const onTenants: Endpoint[] = [
    { method: 'POST', path: '/api/v1/admin/tenants', options: () => ({ json: { tenant_uuid: 'mine', tenant_slug: 'mine' } }) },
    { method: 'GET', path: '/api/v1/admin/tenants' },
    { method: 'GET', path: '/api/v1/admin/tenants/' },
    { method: 'GET', path: '/api/v1/admin/tenants/acme' },
    { method: 'PATCH', path: '/api/v1/admin/tenants/acme', options: () => ({ json: { tenant_slug: 'stolen', quota_bytes: 0 } }) },
    { method: 'DELETE', path: '/api/v1/admin/tenants/acme?force=true' },
    { method: 'GET', path: '/api/v1/admin/tenants/acme/usage' },
    { method: 'POST', path: '/api/v1/admin/tenants/acme/provision-storage', options: () => ({ json: { tenant_slug: 'acme' } }) },
    { method: 'GET', path: '/metrics' },
  ];
  const all = (): Endpoint[] => [
    ...onFile(closed),
    ...onObjects,
    ...onBuckets,
    ...onTenants,
    { method: 'GET', path: '/api/v1/files' },
    { method: 'POST', path: '/api/v1/files/upload', options: () => ({ form: fileForm('x') }) },
    {
      method: 'POST',
      path: '/api/v1/files/presigned-upload',
      options: () => ({ json: { filename: 'p', content_type: 'text/plain', size_bytes: 5 } }),
    },
  ];

  /** Tries every endpoint; returns those that did not answer as expected. */
  const attempt = async (endpoints: readonly Endpoint[], headers: Headers, expected: readonly [number, string][]): Promise<string[]> => {
    const wrong: string[] = [];
    for (const { method, path, options } of endpoints) {
      const { status, json } = await api.send(method, path, { ...options?.(), headers });
      if (!expected.some(([right, code]) => status === right && (method === 'HEAD' || json?.code === code)))
        wrong.push(`${method} ${path}: ${status} ${json?.code}`);
    }
    return wrong;
  };
  const notFound: [number, string][] = [[404, 'file_not_found']];
  const forbidden: [number, string][] = [[403, 'forbidden']];
  const mismatch: [number, string][] = [[403, 'tenant_mismatch']];

  it('is hidden from users of another tenant and of none', async () => {
    for (const headers of [await as('gus', { tenant: globex }), await as('ann', { tenant: globex }), await as('ann')]) {
      for (const id of [closed, open, pending.json.file_id as string]) expect(await attempt(onFile(id), headers, notFound)).toEqual([]);
      expect((await api.send('GET', '/api/v1/files?owner_id=ann', { headers })).json.files).toEqual([]);
      expect((await api.send('GET', '/api/v1/files?status=pending', { headers })).json.files).toEqual([]);
      expect(await attempt([...onObjects, ...onBuckets, ...onTenants], headers, forbidden)).toEqual([]);
    }
  });

  it('is hidden from them also when they claim another tenant in a header', async () => {
    for (const id of [acme.uuid, acme.uuid.toUpperCase(), acme.slug]) {
      for (const headers of [await as('gus', { tenant: globex }), await as('ann')]) {
        const claiming = { ...headers, 'x-tenant-id': id };
        const own: Endpoint[] = [
          { method: 'GET', path: '/api/v1/files' },
          { method: 'POST', path: '/api/v1/files/upload', options: () => ({ form: fileForm('x') }) },
        ];
        expect(await attempt([...onFile(closed), ...onFile(open), ...own], claiming, mismatch)).toEqual([]);
      }
    }
    const headers = { ...ann, 'x-tenant-id': acme.slug };
    expect((await api.send('GET', '/api/v1/files', { headers })).json.files).toHaveLength(2);
  });

  it('is not reachable by pairing its uuid with another slug, or its slug with another uuid', async () => {
    for (const tenant of [
      { uuid: acme.uuid, slug: globex.slug },
      { uuid: globex.uuid, slug: acme.slug },
      { uuid: acme.uuid, slug: 'new' },
      { uuid: '33333333-3333-4333-8333-333333333333', slug: acme.slug },
    ]) {
      expect(await attempt([...onFile(closed), { method: 'GET', path: '/api/v1/files' }], await as('ann', { tenant }), mismatch)).toEqual(
        [],
      );
    }
  });

  it("is open to a service only for the tenant that it names, and only in that tenant's buckets", async () => {
    const worker = await service();
    const elsewhere = { ...worker, 'x-tenant-id': globex.slug };
    for (const id of [closed, open]) expect(await attempt(onFile(id), elsewhere, notFound)).toEqual([]);
    expect(await attempt(onObjects, elsewhere, forbidden)).toEqual([]);
    expect(await attempt([...onBuckets, ...onTenants], elsewhere, forbidden)).toEqual([]);
    expect(await attempt([...onBuckets, ...onTenants], { ...worker, 'x-tenant-id': acme.slug }, forbidden)).toEqual([]);
    for (const name of ['coffer-uploads', 'staging-uploads', 'no-such-bucket', 'globex-uploads'].map(bucket)) {
      expect(
        await attempt(
          [{ method: 'GET', path: `/api/v1/storage/objects?bucket=${name}` }],
          { ...worker, 'x-tenant-id': acme.slug },
          forbidden,
        ),
      ).toEqual([]);
    }
    expect(await attempt([...onFile(closed), ...onObjects], worker, [[400, 'tenant_context_required']])).toEqual([]);
    expect(await attempt([...onFile(closed), ...onObjects], { ...worker, 'x-tenant-id': 'nobody' }, [[404, 'tenant_not_found']])).toEqual(
      [],
    );
    expect((await api.send('GET', `/api/v1/files/${closed}/download`, { headers: { ...worker, 'x-tenant-id': acme.uuid } })).text).toBe(
      'closed',
    );
    for (const query of ['', `?bucket=${bucket('acme-uploads')}`])
      expect(
        (await api.send('GET', `/api/v1/storage/objects/loose${query}`, { headers: { ...worker, 'x-tenant-id': acme.slug } })).text,
      ).toBe('loose');
    expect((await api.send('GET', '/api/v1/storage/objects', { headers: elsewhere })).json.objects).toHaveLength(1);
  });

  it('is shared within the tenant as its owner says', async () => {
    const bob = await as('bob', owner);
    expect(await attempt(onFile(closed), bob, notFound)).toEqual([]);
    const [get, head, download, redirect, presign, , patch, remove] = onFile(open) as [
      Endpoint,
      Endpoint,
      Endpoint,
      Endpoint,
      Endpoint,
      Endpoint,
      Endpoint,
      Endpoint,
    ];
    for (const { method, path } of [get, head, download, redirect, presign])
      expect([200, 302]).toContain((await api.send(method, path, { headers: bob })).status);
    expect(await attempt([patch, remove], bob, forbidden)).toEqual([]);
    expect(await attempt([{ method: 'POST', path: `/api/v1/files/${open}/complete` }], bob, forbidden)).toEqual([]);
    expect(await attempt([{ method: 'POST', path: `/api/v1/files/${pending.json.file_id}/complete` }], bob, notFound)).toEqual([]);
    expect((await api.send('GET', '/api/v1/files', { headers: bob })).json.files.map(({ id }: { id: string }) => id)).toEqual([open]);
    expect(await attempt([...onObjects, ...onBuckets, ...onTenants], bob, forbidden)).toEqual([]);
  });

  it('is hidden without a valid token', async () => {
    const claims = { sub: 'ann', roles: ['admin'], metadata: { tenant_uuid: acme.uuid, tenant_slug: acme.slug } };
    const foreign = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode('another-secret-that-is-long-enough-too'));
    const [header, , signature] = (ann['authorization'] ?? '').slice(7).split('.');
    const changed = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
    for (const headers of [
      {},
      ...[rawToken({ alg: 'none' }, claims), foreign, changed].map((token) => ({ authorization: `Bearer ${token}` })),
    ]) {
      expect(await attempt(all(), { ...headers, 'x-tenant-id': 'acme' } as Headers, [[401, 'unauthorized']])).toEqual([]);
    }
  });
});
