import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { bucketNameProblem, keyProblem, tenantNameProblem } from '@coffer/storage-core';

import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as } from './testing/tokens.ts';

type Json = Readonly<Record<string, unknown>>;
interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly schema: Json }>>;
  readonly content?: Readonly<Record<string, { readonly schema: Json; readonly example?: unknown }>>;
}
interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly description?: string; readonly schema: Json }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Json; readonly example?: unknown }>> };
  readonly responses: Readonly<Record<string, Answer>>;
}

describe('what the document says of answers', () => {
  let api: TestApi;
  let document: { readonly components: { readonly schemas: Readonly<Record<string, Json>> } };
  let operations: ReadonlyMap<string, Operation>;

  beforeAll(async () => {
    api = await startApi();
    const { json } = await api.send('GET', '/openapi.json');
    document = json as typeof document;
    const { paths } = json as { paths: Record<string, Record<string, Operation>> };
    operations = new Map(
      Object.entries(paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
      ),
    );
  });
  afterAll(() => api.stop());

  const answersOf = (name: string): Operation['responses'] => operations.get(name)?.responses ?? {};
  const codesOf = (name: string): string[] =>
    Object.values(answersOf(name)).flatMap(({ description }) => [...description.matchAll(/`(\w+)`/g)].map(([, code]) => code!));

  /** Why a value does not match a schema of the document; a property that the schema lacks is a mistake as well. */
  function mistakesIn(value: unknown, schema: Json): unknown {
    return z.fromJSONSchema(strict(schema)).safeParse(value).error?.issues;
  }

  function strict(schema: unknown): z.core.JSONSchema.JSONSchema {
    if (Array.isArray(schema)) return schema.map(strict) as never;
    if (typeof schema !== 'object' || schema === null) return schema as never;
    const { $ref, ...own } = schema as { readonly $ref?: string } & Json;
    const named = $ref === undefined ? {} : strict(document.components.schemas[$ref.replace('#/components/schemas/', '')]);
    const inner = Object.fromEntries(Object.entries(own).map(([name, each]) => [name, name === 'example' ? each : strict(each)]));
    return { ...named, ...inner, ...('properties' in own && { additionalProperties: false }) };
  }

  it('has a complete, valid example of each JSON answer', () => {
    for (const [name, { responses }] of operations) {
      for (const [status, { content = {} }] of Object.entries(responses)) {
        for (const [type, { schema, example }] of Object.entries(content)) {
          if (!type.endsWith('json') || name === 'GET /openapi.json') continue;
          expect({ name, status, example, mistakes: mistakesIn(example, schema) }).toMatchObject({
            example: expect.any(Object),
            mistakes: undefined,
          });
        }
      }
    }
  });

  it('has no example of a field that the field could not hold', () => {
    const seen: string[] = [];
    const look = (at: string, node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      const { example, schema, type } = node as { example?: unknown; schema?: Json; type?: unknown };
      const judge = schema ?? (type === undefined ? undefined : (node as Json));
      if (example !== undefined && judge !== undefined) {
        seen.push(at);
        expect({ at, example, mistakes: mistakesIn(example, judge) }).toEqual({ at, example, mistakes: undefined });
      }
      for (const [name, child] of Object.entries(node)) if (name !== 'example') look(`${at}/${name}`, child);
    };
    look('components', document.components);
    for (const [name, operation] of operations) look(name, operation);
    expect(seen.length).toBeGreaterThan(200);
  });

  it('detects an invalid example', () => {
    const { schema, example } = answersOf('POST /api/v1/files/upload')['201']!.content!['application/json']!;
    expect(mistakesIn(example, schema)).toBeUndefined();
    for (const wrong of [{ size_bytes: '1' }, { status: 'gone' }, { created_at: 'today' }, { more: 1 }, { tenant_uuid: 1 }])
      expect(mistakesIn({ ...(example as Json), ...wrong }, schema)).toBeDefined();
  });

  it('gives bytes a type that every client generator knows, before the wildcard', () => {
    const bytes = ['application/octet-stream', '*/*'];
    for (const path of ['/api/v1/storage/objects/{key}', '/local/{bucket}/{key}']) {
      expect(Object.keys(operations.get(`PUT ${path}`)?.requestBody?.content ?? {})).toEqual(bytes);
      for (const status of ['200', '206']) expect(Object.keys(answersOf(`GET ${path}`)[status]?.content ?? {})).toEqual(bytes);
    }
  });

  it('has the headers of a 304, which names a file but no object', async () => {
    const headers = { ...(await admin()), 'if-none-match': '*' };
    const { json: file } = await api.send('POST', '/api/v1/files/upload', { headers: await admin(), form: pageForm() });
    await api.send('POST', '/api/v1/storage/objects/page.html', { headers: await admin(), form: pageForm() });
    for (const [operation, path] of [
      ['GET /api/v1/files/{id}/download', `/api/v1/files/${(file as { id: string }).id}/download`],
      ['GET /api/v1/storage/objects/{key}', '/api/v1/storage/objects/page.html'],
    ] as const) {
      const { status, headers: sent } = await api.send('GET', path, { headers });
      const documented = Object.keys(answersOf(operation)['304']!.headers!).map((name) => name.toLowerCase());
      expect({ status, documented }).toEqual({ status: 304, documented: documented.filter((name) => name in sent) });
      expect(documented.includes('content-disposition')).toBe('content-disposition' in sent);
    }
  });

  function pageForm(): FormData {
    const form = new FormData();
    form.set('file', new Blob(['<p>'], { type: 'text/html' }), 'page.html');
    return form;
  }

  it('counts bytes in 64 bits, whatever they are bytes of', () => {
    const seen: string[] = [];
    const look = (at: string, node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      for (const [name, child] of Object.entries(node)) {
        if (/^(?:\w+_)?bytes$/.test(name) && at.endsWith('/properties') && (child as Json)['readOnly'] !== true) {
          seen.push(at);
          expect({ at, name, ...(child as Json) }).toMatchObject({ at, name, format: 'int64', maximum: Number.MAX_SAFE_INTEGER });
        }
        look(`${at}/${name}`, child);
      }
    };
    look('', document);
    expect(seen.length).toBeGreaterThan(8);
    const { headers } = answersOf('GET /api/v1/files/{id}/download')['200'] as unknown as { headers: Record<string, Json> };
    expect(headers['Content-Length']).toMatchObject({ schema: { type: 'integer', format: 'int64' } });
  });

  it('has the bounds of each whole number in a request', () => {
    const seen: string[] = [];
    const look = (at: string, node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      if ([(node as Json)['type']].flat().includes('integer')) {
        seen.push(at);
        expect({ at, ...node }).toMatchObject({ minimum: expect.any(Number), maximum: expect.any(Number) });
      }
      for (const [name, child] of Object.entries(node)) look(`${at}/${name}`, child);
    };
    for (const [name, { parameters, requestBody }] of operations) look(name, { parameters, requestBody });
    expect(seen.length).toBeGreaterThan(6);
  });

  it('has the canned ACLs wherever one is given', () => {
    const form = operations.get('POST /api/v1/storage/objects/{key}')?.requestBody?.content['multipart/form-data']?.schema;
    expect(form).toMatchObject({ properties: { acl: { $ref: '#/components/schemas/CannedAcl' } } });
  });

  it('has each field of a presigned form, and the file last, as clients made from the document send them', async () => {
    const asked = { filename: 'a.txt', content_type: 'text/plain', size_bytes: 1 };
    const { json } = await api.send('POST', '/api/v1/files/presigned-upload', { headers: await as('u1', { tenant: acme }), json: asked });
    const fields = Object.keys((json as { upload_fields: Json }).upload_fields);
    const form = operations.get('POST /local/{bucket}')!.requestBody!.content['multipart/form-data']!.schema;
    expect(Object.keys(form['properties'] as Json)).toEqual([...fields, 'file']);
    // All of them are required: some clients send optional fields after the required ones, so after the file, where they are ignored.
    expect(form['required']).toEqual([...fields, 'file']);
  });

  const parameter = (operation: string, name: string): Json =>
    operations.get(operation)!.parameters!.find((each) => each.name === name)!.schema;
  const mistakes = (schema: Json, value: string): boolean => mistakesIn(value, schema) !== undefined;

  it('has the rules of names, as far as a schema can', () => {
    const bucket = parameter('GET /api/v1/storage/buckets/{name}', 'name');
    const key = parameter('GET /api/v1/storage/objects/{key}', 'key');
    for (const name of ['abc', 'a-1', '0'.repeat(63), 'ab', '-ab', 'Abc', 'a.b', 'a\u0000b', '0'.repeat(64)])
      expect({ name, wrong: mistakes(bucket, name) }).toEqual({ name, wrong: bucketNameProblem(name) !== undefined });
    for (const name of ['a', 'a//b', '\u65e5 \u{1f418}', 'x'.repeat(1024), '', '/a', 'a\u0000', 'a\u009f', 'a\n', 'x'.repeat(1025)])
      expect({ name, wrong: mistakes(key, name) }).toEqual({ name, wrong: keyProblem(name) !== undefined });
    const tenants = [
      parameter('POST /api/v1/admin/tenants/{tenant_id}/provision-storage', 'tenant_id'),
      parameter('GET /api/v1/files', 'X-Tenant-ID'),
      parameter('PUT /api/v1/storage/objects/{key}', 'X-Tenant-ID'),
    ];
    for (const name of ['acme', 'A b', '\u65e5', '', ' a', 'a ', 'a\tb', 'a\u0085', 'a'.repeat(129)])
      expect({ name, wrong: tenants.map((schema) => mistakes(schema, name)) }).toEqual({
        name,
        wrong: tenants.map(() => tenantNameProblem('It', name) !== undefined),
      });
  });

  it('has patterns that generators of clients may write into their source as they are', () => {
    const seen = new Set<string>();
    const look = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      if ('pattern' in node && typeof node.pattern === 'string') seen.add(node.pattern);
      Object.values(node).forEach(look);
    };
    look(document);
    expect(seen.size).toBeGreaterThan(8);
    for (const pattern of seen) expect(pattern).toMatch(/^[ -~]+$/);
  });

  it('describes every parameter', () => {
    const bare = [...operations].flatMap(([name, { parameters = [] }]) =>
      parameters.filter(({ description }) => description === undefined).map((each) => `${name}: ${each.name}`),
    );
    expect(bare).toEqual([]);
  });

  it('has no enum that is not of strings, of which generators make programs that do not compile', () => {
    const seen = new Set<unknown>();
    const look = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      if ('enum' in node && Array.isArray(node.enum)) for (const value of node.enum) seen.add(typeof value);
      Object.values(node).forEach(look);
    };
    look(document);
    expect([...seen]).toEqual(['string']);
  });

  it('has the rules of an owner in a form as in JSON, but that a form may leave it empty', () => {
    const bodyOf = (path: string, type: string): Json =>
      (operations.get(`POST ${path}`)!.requestBody!.content[type]!.schema['properties'] as { owner_id: Json }).owner_id;
    const inForm = bodyOf('/api/v1/files/upload', 'multipart/form-data');
    const inJson = bodyOf('/api/v1/files/presigned-upload', 'application/json');
    for (const owner of ['user-123', 'x'.repeat(255), 'x'.repeat(256), 'a\tb'])
      expect({ owner, wrong: mistakes(inForm, owner) }).toEqual({ owner, wrong: mistakes(inJson, owner) });
    expect(mistakes(inForm, '')).toBe(false);
  });

  it('has the rules of the name of a file, which may be given with its folder', async () => {
    const headers = await as('u1', { tenant: acme });
    const bodyOf = (name: string): Json =>
      (operations.get(name)!.requestBody!.content['application/json']!.schema['properties'] as { filename: Json }).filename;
    const schemas = [bodyOf('POST /api/v1/files/presigned-upload'), bodyOf('PATCH /api/v1/files/{id}')];
    const names = [
      'a',
      'C:\\a\\b.txt',
      'a/b',
      '...',
      '.env',
      '..a',
      '\u65e5',
      'a/',
      'a\\',
      '/',
      '.',
      '..',
      'a/.',
      'a\\..',
      'a\tb',
      '',
      'x'.repeat(1025),
    ];
    for (const filename of names) {
      const json = { filename, content_type: 'text/plain', size_bytes: 1 };
      const { status } = await api.send('POST', '/api/v1/files/presigned-upload', { headers, json });
      const wrong = status === 400;
      expect({ filename, wrong: schemas.map((schema) => mistakes(schema, filename)) }).toEqual({ filename, wrong: [wrong, wrong] });
    }
  });

  it('has the rules of what selects keys, as far as a schema can', async () => {
    const headers = await admin();
    for (const name of ['prefix', 'delimiter']) {
      const schema = parameter('GET /api/v1/storage/objects', name);
      for (const value of ['a', '', '\u65e5/', 'x'.repeat(1024), 'x'.repeat(1025), 'a\u0000']) {
        const { status } = await api.send('GET', `/api/v1/storage/objects?${name}=${encodeURIComponent(value)}`, { headers });
        expect({ name, value, wrong: mistakes(schema, value) }).toEqual({ name, value, wrong: status === 400 });
      }
    }
  });

  it('has the rules of the bucket of an object in a form', async () => {
    const headers = await admin();
    const { schema } = operations.get('POST /api/v1/storage/objects/{key}')!.requestBody!.content['multipart/form-data']!;
    const { bucket } = schema['properties'] as { bucket: Json };
    for (const name of ['', 'abc', 'ab', 'A-b', 'a.b', '-ab', 'a'.repeat(63), 'a'.repeat(64)]) {
      const form = new FormData();
      form.set('bucket', name);
      form.set('file', new Blob(['x']));
      const { status } = await api.send('POST', '/api/v1/storage/objects/of-a-form', { headers, form });
      expect({ name, wrong: mistakes(bucket, name) }).toEqual({ name, wrong: status === 400 });
    }
  });

  it('has the rules of a storage class, as far as they are the same for all providers', () => {
    const form = operations.get('POST /api/v1/storage/objects/{key}')!.requestBody!.content['multipart/form-data']!;
    const copied = operations.get('POST /api/v1/storage/copy')!.requestBody!.content['application/json']!;
    const schemas = [
      parameter('PUT /api/v1/storage/objects/{key}', 'storage_class'),
      (form.schema['properties'] as { storage_class: Json }).storage_class,
      (copied.schema['properties'] as { storage_class: Json }).storage_class,
    ];
    for (const name of ['STANDARD', 'x-amz:GLACIER_IR', 'X'.repeat(64), 'X'.repeat(65), 'd\u00ff', 'A B'])
      expect({ name, wrong: schemas.map((schema) => mistakes(schema, name)) }).toEqual({
        name,
        wrong: schemas.map(() => !/^[!-~]{1,64}$/.test(name)),
      });
    expect(schemas.map((schema) => mistakes(schema, ''))).toEqual([true, false, true]);
  });

  it.each(['PUT', 'POST'])('has the rules of the headers of a write, as far as a schema can: %s', async (method) => {
    const headers = await admin();
    const [sha256, md5] = ['LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ', 'XUFAKrxLKna5cZ2REBfFkg'];
    for (const [name, values] of Object.entries({
      'If-None-Match': ['*', '"9a03"', '**', 'a'],
      'If-Match': ['"9a03"', '"9a03-2"', '*', '9a03', '"9a03", "9a04"', 'W/"9a03"', '""'],
      'x-amz-checksum-sha256': [sha256, `${sha256}=`, `${sha256.slice(0, -1)}R=`, `${md5}==`, `-${sha256.slice(1)}=`, 'a'],
      'Content-MD5': [md5, `${md5}==`, `${md5.slice(0, -1)}h==`, `${sha256}=`, 'a'],
    })) {
      for (const value of values) {
        const form = new FormData();
        form.set('file', new Blob(['x']));
        const sent = { headers: { ...headers, [name]: value }, ...(method === 'PUT' ? { body: 'x' } : { form }) };
        const { status } = await api.send(method, '/api/v1/storage/objects/of-a-write', sent);
        const schema = parameter(`${method} /api/v1/storage/objects/{key}`, name);
        expect({ name, value, wrong: mistakes(schema, value) }).toEqual({ name, value, wrong: status === 400 });
      }
    }
  });

  it('has the headers that come with an object', () => {
    const reads = ['/api/v1/files/{id}/download', '/api/v1/public/files/{id}', '/api/v1/storage/objects/{key}', '/local/{bucket}/{key}'];
    const always = ['ETag', 'Last-Modified', 'Accept-Ranges', 'Content-Length', 'Content-Disposition', 'X-Content-Type-Options'];
    for (const path of reads) {
      const headersOf = (method: string, status: string): string[] => Object.keys(answersOf(`${method} ${path}`)[status]?.headers ?? {});
      for (const method of ['GET', 'HEAD']) {
        expect(headersOf(method, '200')).toEqual(expect.arrayContaining(always));
        expect(headersOf(method, '304')).toEqual(expect.arrayContaining(['ETag', 'Last-Modified']));
      }
      expect(headersOf('GET', '206')).toEqual(expect.arrayContaining([...always, 'Content-Range']));
      expect(headersOf('GET', '416')).toContain('Content-Range');
      expect(headersOf('GET', '503')).toContain('Retry-After');
    }
    expect(Object.keys(answersOf('GET /api/v1/files/{id}/download')['302']?.headers ?? {})).toContain('Location');
    expect(Object.keys(answersOf('PUT /api/v1/storage/objects/{key}')['201']?.headers ?? {})).toContain('ETag');
  });

  it('says the same of HEAD as of GET, without bodies', () => {
    const heads = [...operations].filter(([name]) => name.startsWith('HEAD '));
    expect(heads.length).toBe(4);
    for (const [name, { responses }] of heads) {
      const statuses = Object.keys(answersOf(name.replace('HEAD', 'GET')));
      expect({ name, statuses: Object.keys(responses) }).toEqual({ name, statuses });
      expect(Object.values(responses).filter(({ content }) => content !== undefined)).toEqual([]);
    }
  });

  it('tells what a provider may refuse, and what it may lack', () => {
    const throughProvider = [
      'POST /api/v1/files/upload',
      'POST /api/v1/files/presigned-upload',
      'POST /api/v1/files/{id}/complete',
      'GET /api/v1/files/{id}/download',
      'GET /api/v1/storage/objects',
      'PUT /api/v1/storage/objects/{key}',
      'POST /api/v1/storage/objects/{key}',
      'POST /api/v1/storage/copy',
      'POST /api/v1/storage/move',
      'GET /api/v1/storage/buckets',
      'POST /api/v1/admin/tenants/{tenant_id}/provision-storage',
    ];
    for (const name of throughProvider)
      expect({ name, codes: codesOf(name) }).toMatchObject({
        codes: expect.arrayContaining(['access_denied', 'invalid_argument', 'not_supported', 'read_timeout', 'storage_not_configured']),
      });
    for (const verb of ['copy', 'move'])
      expect(codesOf(`POST /api/v1/storage/${verb}`)).toEqual(expect.arrayContaining(['precondition_failed', 'object_archived']));
  });

  it('has no provider errors where no provider is called', () => {
    for (const name of ['POST /api/v1/admin/tenants', 'GET /api/v1/files', 'PATCH /api/v1/files/{id}', 'GET /metrics'])
      expect({ name, codes: codesOf(name) }).toMatchObject({
        codes: expect.not.arrayContaining(['access_denied']),
      });
  });
});
