import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { statusByCode } from '@coffer/storage-core/http';

import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { admin } from './testing/tokens.ts';

interface Media {
  readonly schema?: unknown;
  readonly example?: unknown;
  readonly examples?: unknown;
}
interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema?: { readonly $ref?: string; readonly type?: string; readonly enum?: unknown[]; readonly example?: unknown };
}
interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: string[];
  readonly security?: unknown[];
  readonly parameters?: Parameter[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Record<string, Media> };
  readonly responses: Record<string, { readonly description: string; readonly headers?: object; readonly content?: Record<string, Media> }>;
}

describe('the documentation', () => {
  let api: TestApi;
  let document: { openapi: string; paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, unknown> } };
  let operations: [string, Operation][];

  beforeAll(async () => {
    api = await startApi();
    const { status, headers, json } = await api.send('GET', '/openapi.json');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    document = json as typeof document;
    operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method.toUpperCase()} ${path}`, operation]),
    );
  });
  afterAll(() => api.stop());

  it('is valid OpenAPI 3.1', async () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    const { valid, errors } = await new Validator().validate(structuredClone(document) as Record<string, unknown>);
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
  });

  it('names no schema like a JavaScript global, which would clash in generated clients', () => {
    expect(Object.keys(document.components.schemas).filter((name) => name in globalThis)).toEqual([]);
  });

  it('has every route', () => {
    expect(operations.map(([name]) => name).sort()).toEqual(
      [
        'DELETE /api/v1/admin/tenants/{tenant_id}',
        'DELETE /api/v1/files/{id}',
        'DELETE /api/v1/storage/buckets/{name}',
        'DELETE /api/v1/storage/buckets/{name}/lifecycle',
        'DELETE /api/v1/storage/objects/{key}',
        'GET /api/v1/admin/tenants',
        'GET /api/v1/admin/tenants/{tenant_id}',
        'GET /api/v1/admin/tenants/{tenant_id}/usage',
        'GET /api/v1/files',
        'GET /api/v1/files/{id}',
        'GET /api/v1/files/{id}/download',
        'GET /api/v1/public/files/{id}',
        'GET /api/v1/storage/buckets',
        'GET /api/v1/storage/buckets/{name}',
        'GET /api/v1/storage/buckets/{name}/acl',
        'GET /api/v1/storage/buckets/{name}/lifecycle',
        'GET /api/v1/storage/buckets/{name}/versioning',
        'GET /api/v1/storage/objects',
        'GET /api/v1/storage/objects/{key}',
        'GET /api/v1/storage/objects/{key}/acl',
        'GET /docs',
        'GET /health/live',
        'GET /health/ready',
        'GET /local/{bucket}/{key}',
        'GET /metrics',
        'GET /openapi.json',
        'HEAD /api/v1/files/{id}/download',
        'HEAD /api/v1/public/files/{id}',
        'HEAD /api/v1/storage/objects/{key}',
        'HEAD /local/{bucket}/{key}',
        'PATCH /api/v1/admin/tenants/{tenant_id}',
        'PATCH /api/v1/files/{id}',
        'POST /api/v1/admin/tenants',
        'POST /api/v1/admin/tenants/{tenant_id}/provision-storage',
        'POST /api/v1/files/presigned-upload',
        'POST /api/v1/files/upload',
        'POST /api/v1/files/{id}/complete',
        'POST /api/v1/files/{id}/presigned-download',
        'POST /api/v1/storage/buckets',
        'POST /api/v1/storage/copy',
        'POST /api/v1/storage/delete',
        'POST /api/v1/storage/move',
        'POST /api/v1/storage/objects/{key}',
        'POST /local/{bucket}',
        'PUT /api/v1/storage/buckets/{name}/acl',
        'PUT /api/v1/storage/buckets/{name}/lifecycle',
        'PUT /api/v1/storage/buckets/{name}/versioning',
        'PUT /api/v1/storage/objects/{key}',
        'PUT /api/v1/storage/objects/{key}/acl',
        'PUT /local/{bucket}/{key}',
      ].sort(),
    );
  });

  it('names every operation once, says what it is for and who may use it', () => {
    const ids = operations.map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [name, { summary, tags, security }] of operations) {
      expect({ name, summary, tags }).toMatchObject({ summary: expect.stringMatching(/^[A-Z]/), tags: [expect.any(String)] });
      const isPublic = /health|docs|openapi|public|local/.test(name);
      expect({ name, security }).toEqual({ name, security: isPublic ? [] : undefined });
    }
  });

  it('documents the errors of every operation, with an example', () => {
    for (const [name, { responses, security }] of operations) {
      const errors = Object.entries(responses).filter(
        ([status]) => Number(status) >= 400 && !(name === 'GET /health/ready' && status === '503'),
      );
      const codes = errors.flatMap(([, { description }]) => [...description.matchAll(/`(\w+)`/g)].map(([, code]) => code!));
      expect({ name, codes }).toMatchObject({
        codes: expect.arrayContaining(security === undefined ? ['unauthorized', 'internal_error'] : ['internal_error']),
      });
      for (const [status, { description, content }] of name.startsWith('HEAD ') ? [] : errors) {
        const example = content?.['application/problem+json']?.example as { code: keyof typeof statusByCode; status: number } | undefined;
        expect({ name, status, description, example: example?.status }).toMatchObject({ example: Number(status) });
        for (const [, code] of description.matchAll(/`(\w+)`/g))
          expect(statusByCode[code as keyof typeof statusByCode]).toBe(Number(status));
      }
    }
    const all = new Set(
      operations.flatMap(([, { responses }]) =>
        Object.values(responses).flatMap(({ description }) => [...description.matchAll(/`(\w+)`/g)].map(([, code]) => code!)),
      ),
    );
    const nowhere = Object.keys(statusByCode).filter((code) => !all.has(code));
    // Documented for methods, not for operations.
    expect(nowhere).toEqual(['method_not_allowed']);
  });

  it('has the headers that clients need', () => {
    const named = (name: string): readonly string[] =>
      (operations.find(([operation]) => operation === name)?.[1].parameters ?? [])
        .filter((each) => each.in === 'header')
        .map((each) => each.name);
    expect(named('POST /api/v1/files/upload')).toEqual(expect.arrayContaining(['X-Tenant-ID', 'x-amz-checksum-sha256']));
    expect(named('GET /api/v1/storage/objects')).toEqual(['X-Tenant-ID']);
    expect(named('PUT /api/v1/storage/objects/{key}')).toContain('If-None-Match');
    expect(named('DELETE /api/v1/storage/objects/{key}')).toEqual(['X-Tenant-ID', 'If-Match', 'If-None-Match', 'If-Unmodified-Since']);
    expect(named('HEAD /api/v1/public/files/{id}')).toEqual(expect.arrayContaining(['Range', 'If-None-Match']));
    expect(named('GET /api/v1/public/files/{id}')).not.toContain('X-Tenant-ID');
    for (const [, { responses }] of operations)
      for (const [status, { headers }] of Object.entries(responses)) {
        const more = status === '401' ? ['WWW-Authenticate'] : [];
        expect(Object.keys(headers ?? {})).toEqual(expect.arrayContaining(['X-Request-ID', ...more]));
      }
  });

  it('has examples of what goes in and comes out', () => {
    const schemas = JSON.stringify(document.components.schemas);
    for (const example of ['report.pdf', 'acme-uploads', 'uploads/document.pdf', '2026-01-15T10:30:00.000Z'])
      expect(schemas).toContain(example);
    const bodies = operations.filter(([, { requestBody }]) => requestBody !== undefined);
    for (const [name, { requestBody }] of bodies) {
      if (['PUT /api/v1/storage/objects/{key}', 'PUT /local/{bucket}/{key}'].includes(name)) continue; // any bytes
      expect({ name, text: JSON.stringify(requestBody) }).toMatchObject({ text: expect.stringMatching(/"examples?":|#\/components/) });
    }
  });

  it("has none of headers, which the page would send unasked: a condition, a checksum, or a tenant that is not the reader's", () => {
    const headers = operations.flatMap(([, { parameters = [] }]) => parameters.filter((parameter) => parameter.in === 'header'));
    expect(headers.length).toBeGreaterThan(0);
    for (const { name, schema } of headers) expect({ name, ...schema }).not.toHaveProperty('example');
  });

  it("has none of text in a query, which the page would send unasked: another bucket than the reader's, or a prefix", () => {
    const queries = operations.flatMap(([, { parameters = [] }]) => parameters.filter((parameter) => parameter.in === 'query'));
    const texts = queries.filter(({ schema }) => schema?.type === 'string' && schema.enum === undefined);
    expect(new Set(texts.map(({ name }) => name))).toEqual(
      new Set(['cursor', 'owner_id', 'prefix', 'delimiter', 'continuation_token', 'bucket', 'storage_class']),
    );
    for (const { name, schema } of texts) expect({ name, ...schema }).not.toHaveProperty('example');
  });

  it("has none of a field of a form that names another owner or bucket than the reader's", () => {
    const forms = operations.flatMap(([name, { requestBody }]) => {
      const { schema } = (requestBody?.content['multipart/form-data'] ?? {}) as { schema?: { properties: Record<string, object> } };
      return schema === undefined || name.includes('/local/') ? [] : [schema.properties];
    });
    expect(forms.length).toBe(2);
    for (const properties of forms)
      for (const name of ['owner_id', 'bucket', 'storage_class']) expect({ name, ...properties[name] }).not.toHaveProperty('example');
  });

  it('has an example of each JSON body, which the page sends as it is, with nothing that the route would not take', async () => {
    const headers = await admin();
    const withBody = operations.filter(([, { requestBody }]) => requestBody?.content['application/json'] !== undefined);
    expect(withBody.length).toBeGreaterThan(10);
    for (const [name, { parameters = [], requestBody }] of withBody) {
      const { schema } = requestBody!.content['application/json'] as { schema: NonNullable<Parameter['schema']> };
      const resolved = (schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1)!]) as typeof schema;
      expect({ name, example: resolved.example }).toEqual({ name, example: expect.any(Object) });
      const [method = '', path = ''] = name.split(' ');
      const target = parameters
        .filter((parameter) => parameter.in === 'path')
        .reduce((made, each) => made.replace(`{${each.name}}`, encodeURIComponent(String(each.schema?.example))), path);
      const { status, json } = await api.send(method, target, {
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(resolved.example),
      });
      // What the examples name may not exist here, and the local backend lacks some bucket settings.
      expect({ name, status, json }).toEqual({ name, status: expect.toSatisfy((got: number) => got !== 400), json });
    }
  });

  it('says which bodies may be left out', () => {
    const optional = operations.filter(([, { requestBody }]) => requestBody !== undefined && requestBody.required !== true);
    expect(optional.map(([name]) => name)).toEqual(['POST /api/v1/files/{id}/presigned-download']);
  });

  it('declares every parameter in a path', () => {
    for (const [name, { parameters = [] }] of operations) {
      const inPath = parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name);
      expect({ name, inPath }).toEqual({ name, inPath: [...name.matchAll(/\{(\w+)\}/g)].map(([, each]) => each) });
    }
  });

  it('is a page that asks no other host for anything', async () => {
    for (const path of ['/docs', '/docs/']) {
      const { status, headers, text } = await api.send('GET', path);
      expect(status).toBe(200);
      expect(headers['content-type']).toMatch(/^text\/html/);
      expect(headers['content-security-policy']).toContain(`default-src 'none'; script-src 'self' 'unsafe-inline';`);
      expect(headers['content-security-policy']).toContain(`connect-src 'self' ${api.url};`);
      expect(text).toContain('/openapi.json');
      expect(text).toContain('/docs/scalar.js');
      expect(text).toContain('<html lang="en">');
      expect(text).toContain('<link rel="icon" href="data:,">'); // otherwise browsers request one
      expect([...text.matchAll(/(?:https?:)?\/\/[\w.-]+\.\w+/g)].map(([url]) => url)).toEqual([]);
    }
  });

  it('is found below the path that clients reach the API under', async () => {
    const below = await startApi({ PUBLIC_URL: 'https://example.com/coffer/' });
    try {
      const { text } = await below.send('GET', '/docs');
      expect(text).toContain('"/coffer/openapi.json"');
      expect(text).toContain('"/coffer/docs/scalar.js"');
    } finally {
      await below.stop();
    }
  });
});
