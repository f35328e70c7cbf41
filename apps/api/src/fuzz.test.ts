import { afterAll, beforeAll, expect, it } from 'vitest';

import { uploadFile } from './testing/files.ts';
import type { SendOptions } from './testing/send.ts';
import { onEachBackend } from './testing/on-each-backend.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as, service } from './testing/tokens.ts';

const requests = 4000;
const texts = [
  '',
  'a',
  '0',
  '-1',
  '1e9',
  'null',
  'true',
  '%00',
  '%',
  '%ff',
  '../x',
  'ü',
  "'",
  '"',
  '\\',
  '{}',
  'x'.repeat(3000),
  '\u0001',
  ' ',
  'acme',
  '9007199254740993',
  '😀',
  '*',
  '?',
  '#',
  '&',
  '=',
  '+',
  '\ud800',
  '\0',
  acme.uuid,
];
const values = [
  ...texts,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  null,
  true,
  [],
  {},
  [[]],
  { a: 1 },
  ['a'],
  { key: 'a' },
  { bucket: 'x', key: '' },
  { key: '\ud800' },
];
const fields = [
  'filename',
  'content_type',
  'size_bytes',
  'is_public',
  'owner_id',
  'sha256',
  'metadata',
  'name',
  'region',
  'acl',
  'tenant_uuid',
  'tenant_slug',
  'quota_bytes',
  'source',
  'destination',
  'storage_class',
  'keys',
  'bucket',
  'expires_in',
  'enabled',
  'rules',
];
const parameters = [
  'limit',
  'cursor',
  'owner_id',
  'status',
  'prefix',
  'delimiter',
  'max_keys',
  'continuation_token',
  'bucket',
  'acl',
  'storage_class',
  'force',
  'redirect',
  'x-coffer-signature',
  'x-coffer-expires',
  'response-content-type',
];
const headerNames = [
  'x-tenant-id',
  'range',
  'if-none-match',
  'if-match',
  'if-range',
  'if-modified-since',
  'content-md5',
  'x-amz-checksum-sha256',
  'digest',
  'content-type',
  'content-encoding',
  'x-request-id',
  'origin',
  'access-control-request-method',
];

/** The same numbers in every run, so that failures can be reproduced. */
function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

onEachBackend('whatever is sent', ({ start, bucket }) => {
  /** The server also has buckets of others, which must not be touched. */
  const ours = (name: unknown): unknown => (typeof name === 'string' && /^[a-z0-9-]{3,63}$/.test(name) ? bucket(name) : name);
  let api: TestApi;
  let paths: string[];
  let tokens: Record<string, string>[];

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    tokens = [await admin(), await as('ann', { tenant: acme }), await service(), await as('bob'), {}];
    const { id } = (await uploadFile(api, tokens[1] ?? {})).json as { id: string };
    const { json } = await api.send('GET', '/openapi.json');
    paths = [
      ...Object.keys((json as { paths: object }).paths).map((path) => path.replace('{id}', id)),
      '/local/{bucket}/{key}',
      '/local/{bucket}',
      '/{key}',
    ];
  });
  afterAll(() => api.stop());

  it('is answered, and never taken for a failure of the server', async () => {
    const random = randomSource(7);
    const chance = (of: number): boolean => random() < of;
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const inUrl = (text: string): string => (chance(0.5) ? encodeURIComponent(text.toWellFormed()) : text.replaceAll(/[^\x21-\x7e]/g, ''));
    const parameter = (name: string): string => `${name}=${inUrl(name === 'bucket' ? String(ours(pick(texts))) : pick(texts))}`;
    const request = (): { method: string; path: string; options: SendOptions } => {
      const query = chance(0.5) ? `?${Array.from({ length: 3 }, () => parameter(pick(parameters))).join('&')}` : '';
      const path =
        pick(paths).replaceAll(/\{(\w+)\}/g, (_, name) =>
          inUrl(name === 'name' || name === 'bucket' ? String(ours(pick(texts))) : pick(texts)),
        ) + query;
      const headers = { ...pick(tokens), ...(chance(0.2) && { 'x-tenant-id': 'acme' }) };
      for (const name of headerNames) if (chance(0.06)) Object.assign(headers, { [name]: pick(texts).replaceAll(/[^\x20-\x7e]/g, '') });
      const method = pick(['GET', 'GET', 'HEAD', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
      if (method === 'GET' || method === 'HEAD') return { method, path, options: { headers } };
      const filled = fields
        .filter(() => chance(0.2))
        .map((field) => [field, field === 'name' || field === 'bucket' ? ours(pick(values)) : pick(values)] as const);
      if (chance(0.6)) return { method, path, options: { headers, json: Object.fromEntries(filled) } };
      if (chance(0.3)) return { method, path, options: { headers, body: pick(texts) } };
      const form = new FormData();
      for (const [field, value] of filled) form.append(field, typeof value === 'string' ? value : JSON.stringify(value));
      if (chance(0.8)) form.append('file', new Blob([pick(texts)]), pick(texts));
      return { method, path, options: { headers, form } };
    };

    const statuses = new Map<number, number>();
    const strange: string[] = [];
    const worker = async (): Promise<void> => {
      for (let sent = 0; sent < requests / 8; sent++) {
        const { method, path, options } = request();
        const { status, headers, json } = await api.send(method, path, options);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        const isProblem =
          method === 'HEAD' ||
          (headers['content-type'] === 'application/problem+json' && json?.status === status && typeof json.code === 'string');
        if (status === 500 || (status >= 400 && !isProblem))
          strange.push(`${status} ${method} ${path} ${JSON.stringify(options).slice(0, 300)}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    expect(strange).toEqual([]);
    expect(api.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
    for (const status of [200, 201, 204, 400, 401, 403, 404, 405, 415]) expect(statuses.get(status)).toBeGreaterThan(0);
  });
});
