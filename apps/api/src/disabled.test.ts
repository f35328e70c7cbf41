import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { fileForm } from './testing/files.ts';
import type { SendOptions } from './testing/send.ts';
import { RawConnection } from './testing/raw-http.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as } from './testing/tokens.ts';

const id = '0b946ac9-2492-4d23-8f5c-6a3f0a1c9e55';

describe('with STORAGE_ENABLED=false', () => {
  let api: TestApi;

  beforeAll(async () => {
    api = await startApi({ STORAGE_ENABLED: 'false' });
  });
  afterAll(() => api.stop());

  it.each([
    ['GET', '/api/v1/storage/buckets', {}],
    ['POST', '/api/v1/storage/buckets', { json: { name: 'abc' } }],
    ['GET', '/api/v1/storage/buckets/abc', {}],
    ['DELETE', '/api/v1/storage/buckets/abc', {}],
    ['GET', '/api/v1/storage/buckets/abc/acl', {}],
    ['GET', '/api/v1/storage/buckets/abc/versioning', {}],
    ['GET', '/api/v1/storage/objects', {}],
    ['GET', '/api/v1/storage/objects/a', {}],
    ['PUT', '/api/v1/storage/objects/a', { body: 'x' }],
    ['POST', '/api/v1/storage/objects/a', { form: fileForm('x') }],
    ['DELETE', '/api/v1/storage/objects/a', {}],
    ['GET', '/api/v1/storage/objects/a/acl', {}],
    ['POST', '/api/v1/storage/copy', { json: { source: { key: 'a' }, destination: { key: 'b' } } }],
    ['POST', '/api/v1/storage/delete', { json: { keys: ['a'] } }],
    ['GET', '/api/v1/files', {}],
    ['POST', '/api/v1/files/upload', { form: fileForm('x') }],
    ['POST', '/api/v1/files/presigned-upload', { json: { filename: 'a', content_type: 'text/plain', size_bytes: 1 } }],
    ['GET', `/api/v1/files/${id}`, {}],
    ['PATCH', `/api/v1/files/${id}`, { json: { filename: 'x' } }],
    ['DELETE', `/api/v1/files/${id}`, {}],
    ['GET', `/api/v1/files/${id}/download`, {}],
    ['POST', `/api/v1/files/${id}/complete`, {}],
    ['GET', `/api/v1/public/files/${id}`, {}],
    ['GET', '/local/coffer-uploads/a', {}],
    ['POST', `/api/v1/admin/tenants/${acme.uuid}/provision-storage`, { json: { tenant_slug: 'acme' } }],
  ])('%s %s answers that storage is off', async (method, path, options) => {
    const answer = await api.send(method, path, { ...(options as SendOptions), headers: await admin() });
    expect(answer).toMatchObject({ status: 503, json: { code: 'storage_not_configured' }, headers: { 'retry-after': expect.any(String) } });
  });

  it('logs each refusal in one line, without a stack: it is no failure', async () => {
    api.log.length = 0;
    for (const path of ['/api/v1/files', '/local/coffer-uploads/a']) await api.send('GET', path, { headers: await admin() });
    await expect.poll(() => api.log.length).toBe(2);
    for (const line of api.log) expect(line).toMatchObject({ msg: 'request', level: 30, status: 503, code: 'storage_not_configured' });
    for (const line of api.log) expect(line).not.toHaveProperty('err');
  });

  it('still asks for a token first', async () => {
    expect(await api.send('GET', '/api/v1/files')).toMatchObject({ status: 401 });
    expect(await api.send('GET', '/api/v1/storage/buckets', { headers: await as('ann') })).toMatchObject({ status: 403 });
  });

  it('tenants and health work', async () => {
    const headers = await admin();
    expect(
      await api.send('POST', '/api/v1/admin/tenants', { headers, json: { tenant_uuid: acme.uuid, tenant_slug: acme.slug } }),
    ).toMatchObject({ status: 201 });
    expect(await api.send('GET', '/api/v1/admin/tenants', { headers })).toMatchObject({
      status: 200,
      json: { tenants: [{ tenant_slug: 'acme' }] },
    });
    expect(await api.send('PATCH', '/api/v1/admin/tenants/acme', { headers, json: { quota_bytes: 1 } })).toMatchObject({ status: 200 });
    expect(await api.send('GET', '/api/v1/admin/tenants/acme/usage', { headers })).toMatchObject({
      status: 200,
      json: { bytes: 0, files: 0, quota_bytes: 1 },
    });
    expect(await api.send('DELETE', '/api/v1/admin/tenants/acme', { headers })).toMatchObject({ status: 204 });
    expect(await api.send('GET', '/health/live')).toMatchObject({ status: 200, json: { status: 'live' } });
    expect(await api.send('GET', '/health/ready')).toMatchObject({
      status: 200,
      json: { status: 'ready', checks: { database: { status: 'up' }, storage: { status: 'disabled' } } },
    });
    for (const path of ['/openapi.json', '/docs']) expect(await api.send('GET', path)).toMatchObject({ status: 200 });
  });

  it.each([
    ['below /local/', '/local/bucket/key', 'x'],
    ['with a malformed Host', '/api/v1/files', 'a b'],
  ])('an endless body %s is not read for long', async (_what, path, host) => {
    const connection = await RawConnection.open(api.url);
    await connection.write(`PUT ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000000000\r\n\r\n`);
    expect([400, 503]).toContain((await connection.answer()).status);
    const chunk = Buffer.alloc(1_000_000);
    let sent = 0;
    for (; sent < 200 && !connection.socket.destroyed; sent++) await connection.write(chunk);
    expect(sent).toBeLessThan(100);
    connection.destroy();
  });
});
