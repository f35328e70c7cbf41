import { z } from '@hono/zod-openapi';

import { contentTypeShape, tenantNameShape } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { bodySchema, changeSchema } from './body-schemas.ts';
import { uploadFile } from './testing/files.ts';
import type { Answer } from './testing/send.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as } from './testing/tokens.ts';

describe('a body of a request', () => {
  it('accepts null for optional fields, and keeps null where it has a meaning', () => {
    const body = bodySchema({ a: z.string(), b: z.string().optional(), c: z.number().nullable().optional() });
    expect(body.parse({ a: 'x', b: null, c: null })).toEqual({ a: 'x', b: undefined, c: null });
    expect(body.safeParse({ a: null }).success).toBe(false);
  });

  it('accepts and ignores the other fields of the resource in a change', () => {
    const body = changeSchema(z.object({ id: z.string(), name: z.string() }), { name: z.string().optional() });
    expect(body.parse({ id: 7, name: 'x' })).toMatchObject({ name: 'x' });
    for (const wrong of [{ nmae: 'x' }, { name: null }]) expect(body.safeParse(wrong).success).toBe(false);
  });
});

describe('JSON of requests', () => {
  let api: TestApi;
  let root: { authorization: string };
  let ann: { authorization: string };
  const send = (method: string, path: string, body: unknown, headers: object = root): Promise<Answer> =>
    api.send(method, `/api/v1${path}`, { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) });

  beforeAll(async () => {
    api = await startApi();
    root = await admin();
    ann = await as('ann', { tenant: acme });
  });
  afterAll(() => api.stop());

  it.each([
    ['POST', '/files/presigned-upload', { filename: 'a', content_type: 'text/plain', size_bytes: 1, is_publc: true }, 'is_publc'],
    ['POST', '/admin/tenants', { tenant_uuid: 'u', tenant_slug: 's', quota_byte: 1 }, 'quota_byte'],
    ['PATCH', '/admin/tenants/u', { tenant_slgu: 's' }, 'tenant_slgu'],
    ['POST', '/admin/tenants/u/provision-storage', { tenant_slug: 's', acls: 'private' }, 'acls'],
    ['PATCH', '/files/x', { file_name: 'a' }, 'file_name'],
    ['POST', '/files/x/presigned-download', { expires: 5 }, 'expires'],
    ['POST', '/storage/buckets', { name: 'some-bucket', tenant_uid: 'u' }, 'tenant_uid'],
    ['PUT', '/storage/buckets/some-bucket/acl', { acl: 'private', grant: 1 }, 'grant'],
    ['PUT', '/storage/buckets/some-bucket/versioning', { enabled: true, mfa: true }, 'mfa'],
    [
      'PUT',
      '/storage/buckets/some-bucket/lifecycle',
      { rules: [{ id: 'a', prefix: '', expire_day: 1, expire_days: 2 }] },
      'rules.0.expire_day',
    ],
    ['PUT', '/storage/objects/k/acl', { acl: 'private', bucket: 'x' }, 'bucket'],
    ['POST', '/storage/copy', { source: { key: 'a' }, destination: { key: 'b', Bucket: 'x' } }, 'destination.Bucket'],
    ['POST', '/storage/move', { source: { key: 'a' }, destination: { key: 'b' }, storageClass: 'X' }, 'storageClass'],
    ['POST', '/storage/delete', { keys: ['a'], buckets: 'x' }, 'buckets'],
  ])('is refused when it has a field that nobody knows: %s %s', async (method, path, body, field) => {
    expect(await send(method, path, body)).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field, message: 'is no field of this request' }] },
    });
  });

  it('tells of a few such fields, however many there are', async () => {
    const body = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`${n}${'x'.repeat(30)}`, n]));
    const answer = await send('POST', '/admin/tenants', { tenant_uuid: 'u', tenant_slug: 's', ...body });
    expect(answer).toMatchObject({ status: 400, json: { code: 'validation_failed', errors: { length: 10 } } });
    expect(answer.text.length).toBeLessThan(10_000);
    const wrong = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`${n}${'x'.repeat(30)}`, n]));
    const rules = Array.from({ length: 1000 }, (_, n) => ({ id: `${n}`, prefix: '', expire_days: 1, ...wrong }));
    const many = await send('PUT', '/storage/buckets/some-bucket/lifecycle', { rules });
    expect(many).toMatchObject({ status: 400, json: { errors: { length: 100 } } });
    const long = await send('POST', '/storage/delete', { keys: ['a'], ['x'.repeat(500_000)]: 1 });
    expect(long.status).toBe(400);
    expect(long.text.length).toBeLessThan(2000);
    const cut = await send('POST', '/storage/delete', { keys: ['a'], [`${'x'.repeat(99)}😀`]: 1 }); // cuts in the middle of a character
    expect(cut.json.errors).toEqual([{ field: `${'x'.repeat(99)}\ufffd`, message: 'is no field of this request' }]);
  });

  it('may be a whole record that was read and changed', async () => {
    const { json: record } = await uploadFile(api, ann);
    const changed = await send('PATCH', `/files/${record.id}`, { ...record, filename: 'new.txt' }, ann);
    expect(changed).toMatchObject({ status: 200, json: { ...record, filename: 'new.txt', updated_at: expect.any(String) } });
    const { json: tenant } = await send('POST', '/admin/tenants', { tenant_uuid: 'whole', tenant_slug: 'whole' });
    expect(await send('PATCH', '/admin/tenants/whole', { ...tenant, quota_bytes: 5 })).toMatchObject({
      status: 200,
      json: { ...tenant, quota_bytes: 5 },
    });
  });

  it('may have null for what it omits', async () => {
    const { json: record } = await uploadFile(api, ann);
    expect(await send('POST', `/files/${record.id}/presigned-download`, { expires_in: null }, ann)).toMatchObject({ status: 200 });
    const none = { is_public: null, owner_id: null, sha256: null, metadata: null };
    const upload = { filename: 'a', content_type: 'text/plain', size_bytes: 1, ...none };
    expect(await send('POST', '/files/presigned-upload', upload, ann)).toMatchObject({ status: 201 });
    expect(await send('POST', '/files/presigned-upload', { ...upload, filename: null }, ann)).toMatchObject({
      status: 400,
      json: { errors: [{ field: 'filename' }] },
    });
    const bucket = { name: 'null-bucket', region: null, acl: null, tenant_uuid: null };
    expect(await send('POST', '/storage/buckets', bucket)).toMatchObject({ status: 201, json: { tenant_uuid: null } });
    await api.send('PUT', '/api/v1/storage/objects/a?bucket=null-bucket', { headers: root, body: 'x' });
    const copy = { source: { bucket: 'null-bucket', key: 'a' }, destination: { bucket: null, key: 'b' }, acl: null, storage_class: null };
    expect(await send('POST', '/storage/copy', copy)).toMatchObject({ status: 200 });
    expect(await send('POST', '/admin/tenants', { tenant_uuid: 'null', tenant_slug: 'null', quota_bytes: null })).toMatchObject({
      status: 201,
      json: { quota_bytes: null },
    });
  });

  it('is refused with the mistake of the value itself where null is allowed too', async () => {
    const wrong = { name: 'wrong-bucket', region: '', acl: 'publik', tenant_uuid: 'a\nb' };
    const copy = { source: { bucket: 5, key: 'a' }, destination: { key: 'b' } };
    const rule = { id: 'a', prefix: '', transition: { day: 1, days: 1, storage_class: 'GLACIER' } };
    const messages = async (method: string, path: string, body: unknown): Promise<unknown> => (await send(method, path, body)).json.errors;
    expect(await messages('POST', '/storage/buckets', wrong)).toEqual([
      { field: 'region', message: '1 to 64 printable ASCII characters, without spaces' },
      { field: 'acl', message: expect.stringContaining('one of private, public-read') },
      { field: 'tenant_uuid', message: expect.stringContaining('control characters') },
    ]);
    expect(await messages('POST', '/storage/copy', copy)).toEqual([
      { field: 'source.bucket', message: expect.stringContaining('expected string') },
    ]);
    expect(await messages('PUT', '/storage/buckets/some-bucket/lifecycle', { rules: [rule] })).toEqual([
      { field: 'rules.0.transition.day', message: 'is no field of this request' },
    ]);
  });

  it('is documented as closed, with null where it may stand', async () => {
    const { json } = await api.send('GET', '/openapi.json');
    interface Body {
      readonly additionalProperties?: unknown;
      readonly required?: readonly string[];
      readonly properties?: Readonly<Record<string, { readonly type?: string | readonly string[]; readonly readOnly?: boolean }>>;
    }
    interface Operation {
      readonly operationId: string;
      readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Body | { readonly $ref: string } }>> };
    }
    const bodies = new Map<string, Body>();
    for (const operations of Object.values(json.paths as Record<string, Record<string, Operation>>))
      for (const { operationId, requestBody: body } of Object.values(operations)) {
        const schema = body?.content['application/json']?.schema;
        if (schema !== undefined)
          bodies.set(operationId, '$ref' in schema ? json.components.schemas[schema.$ref.split('/').at(-1)!] : schema);
      }
    expect(bodies.size).toBeGreaterThan(12);
    for (const [operation, body] of bodies) expect([operation, body.additionalProperties]).toEqual([operation, false]);
    const { required, properties } = bodies.get('files.presignUpload')!;
    expect(required).toEqual(['filename', 'content_type', 'size_bytes']);
    const orNull = (schema: unknown) => ({ anyOf: [schema, { type: 'null' }] });
    expect(properties?.['is_public']).toEqual(orNull({ type: 'boolean' }));
    expect(properties?.['metadata']).toEqual(orNull(expect.objectContaining({ type: 'object' })));
    const bucket = bodies.get('buckets.create')?.properties;
    expect(bucket?.['acl']).toEqual(orNull({ $ref: '#/components/schemas/CannedAcl' }));
    expect(bucket?.['tenant_uuid']).toMatchObject(orNull({ type: 'string', ...tenantNameShape }));
    expect(bodies.get('tenants.create')?.properties?.['quota_bytes']?.type).toEqual(['integer', 'null']);
    expect(properties?.['filename']?.type).toBe('string');
    expect(bodies.get('files.update')?.properties?.['owner_id']?.readOnly).toBe(true);
    expect(properties?.['content_type']).toMatchObject(contentTypeShape);
    for (const field of ['tenant_uuid', 'tenant_slug'])
      expect(bodies.get('tenants.create')?.properties?.[field]).toMatchObject({ type: 'string', ...tenantNameShape });
  });
});
