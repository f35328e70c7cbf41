import { once } from 'node:events';

import { storageError } from '@coffer/storage-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { RawConnection } from '../testing/raw-http.ts';
import { startApi } from '../testing/start-api.ts';
import type { TestApi } from '../testing/start-api.ts';
import { acme, admin, as, secret } from '../testing/tokens.ts';

const debug = 20;
const info = 30;
const error = 50;

describe('the log', () => {
  let api: TestApi;

  beforeAll(async () => {
    api = await startApi({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
  });
  afterAll(() => api.stop());
  beforeEach(() => void (api.log.length = 0));

  const lines = async (count: number): Promise<Record<string, unknown>[]> => {
    const requests = (): Record<string, unknown>[] => api.log.filter(({ msg }) => msg === 'request');
    for (let tries = 0; requests().length < count && tries < 2000; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    return requests();
  };

  it('has one line per request, with who, what and how it ended', async () => {
    const headers = { ...(await as('ann', { tenant: acme })), 'x-request-id': 'req-1' };
    await api.send('GET', '/api/v1/files?limit=5', { headers });
    expect(await lines(1)).toEqual([
      expect.objectContaining({
        level: info,
        request_id: 'req-1',
        method: 'GET',
        path: '/api/v1/files',
        operation: 'files.list',
        status: 200,
        subject: 'ann',
        tenant: 'acme',
        ms: expect.any(Number),
      }),
    ]);
  });

  it('has the code of a refused request, and does not count it as a failure of the server', async () => {
    await api.send('GET', '/api/v1/files/nope', { headers: await as('ann', { tenant: acme }) });
    await api.send('GET', '/nothing');
    await api.send('GET', '/api/v1/files');
    await api.send('GET', '/api/v1/storage/buckets/acme-uploads/versioning', { headers: await admin() });
    await api.send('GET', '/api/v1/admin/tenants', { headers: await as('ann', { tenant: acme }) });
    expect((await lines(5)).at(-1)).toMatchObject({ level: info, status: 403, code: 'forbidden', subject: 'ann' });
    expect((await lines(4)).slice(0, 4).map(({ level, status, code, err }) => ({ level, status, code, err }))).toEqual([
      { level: info, status: 404, code: 'file_not_found' },
      { level: info, status: 404, code: 'not_found' },
      { level: info, status: 401, code: 'unauthorized' },
      { level: info, status: 501, code: 'not_supported' },
    ]);
  });

  it('has the details of a server failure, of which the answer has only the request id', async () => {
    const cause = new Error('secret of ours');
    const copied = vi.spyOn(api.runtime.storage, 'copyFile').mockRejectedValue(cause);
    const json = { source: { bucket: 'acme-uploads', key: 'a' }, destination: { bucket: 'acme-uploads', key: 'b' } };
    const headers = { ...(await admin()), 'x-request-id': 'bad-luck' };
    const answer = await api.send('POST', '/api/v1/storage/copy', { headers, json });
    copied.mockRestore();
    expect(answer).toMatchObject({ status: 500, json: { code: 'internal_error', request_id: 'bad-luck' } });
    expect(answer.text).not.toContain('secret');
    expect(await lines(1)).toEqual([
      expect.objectContaining({ level: error, request_id: 'bad-luck', status: 500, code: 'internal_error', err: expect.anything() }),
    ]);
    expect(JSON.stringify(api.log)).toContain(cause.message);
  });

  it('has a line for what is refused before there is a route for it', async () => {
    for (const field of ['Expect: miracles', 'Host: b']) {
      const connection = await RawConnection.open(api.url);
      await connection.write(`GET /health/live HTTP/1.1\r\nHost: a\r\n${field}\r\nX-Request-ID: early\r\n\r\n`);
      await connection.answer();
      connection.destroy();
    }
    expect(await lines(2)).toMatchObject([
      { level: info, request_id: 'early', status: 417, path: '/health/live' },
      { level: info, request_id: 'early', status: 400, path: '/health/live', code: 'validation_failed' },
    ]);
    api.log.length = 0;
    const connection = await RawConnection.open(api.url);
    await connection.write('hello\r\n\r\n');
    const { headers } = await connection.answer();
    expect(api.log).toMatchObject([{ level: info, msg: 'no request', request_id: headers['x-request-id'], status: 400 }]);
    connection.destroy();
  });

  it('is not filled by probes', async () => {
    for (const path of ['/health/live', '/health/ready']) await api.send('GET', path);
    await api.send('GET', '/metrics', { headers: await admin() });
    expect((await lines(3)).map(({ level }) => level)).toEqual([debug, debug, debug]);
    await api.send('GET', '/metrics');
    expect((await lines(4)).at(-1)).toMatchObject({ level: info, status: 401 });
  });

  it('holds no token, no secret, no query and no cookie', async () => {
    const { authorization } = await as('ann', { tenant: acme });
    const headers = { authorization, cookie: 'session=top-secret-cookie', 'content-type': 'application/json' };
    await api.send('POST', '/api/v1/files/presigned-upload?token=top-secret-query', {
      headers,
      json: { filename: 'a', content_type: 'text/plain', size_bytes: 1 },
    });
    const bad = authorization.slice(0, -3);
    await api.send('GET', '/api/v1/files', { headers: { ...headers, authorization: bad } });
    await api.send('GET', '/local/acme-uploads/a?x-coffer-signature=top-secret-signature');
    await lines(3);
    const text = JSON.stringify(api.log);
    for (const held of [authorization.slice(7), bad.slice(7), secret, 'top-secret']) expect(text).not.toContain(held);
  });

  it('has no line for a request whose turn never came because its client left', async () => {
    const connection = await RawConnection.open(api.url);
    const get = 'GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n';
    connection.socket.pause();
    await connection.write(get.repeat(200));
    await lines(1);
    connection.destroy();
    await api.send('GET', '/nothing');
    await expect.poll(() => api.log.some(({ path }) => path === '/nothing')).toBe(true);
    const answered = (await lines(2)).filter(({ path }) => path === '/openapi.json');
    expect(answered.length).toBeLessThan(200);
    expect(answered.filter(({ aborted }) => aborted === true).length).toBeLessThanOrEqual(1);
  });

  it('does not count a client that leaves as an error', async () => {
    const { authorization } = await as('ann', { tenant: acme });
    const uploads = [
      `POST /api/v1/files/upload HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello`,
      `PUT /api/v1/storage/objects/left HTTP/1.1\r\nHost: a\r\nAuthorization: ${(await admin()).authorization}\r\nContent-Length: 100000\r\n\r\nhello`,
      `PATCH /api/v1/files/x HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"a":`,
    ];
    for (const [index, text] of uploads.entries()) {
      const connection = await RawConnection.open(api.url);
      await connection.write(text);
      await new Promise((resolve) => setTimeout(resolve, 100));
      connection.destroy();
      const found = await lines(index + 1);
      expect(found).toHaveLength(index + 1);
      expect(found.at(-1)).toMatchObject({ level: info, aborted: true });
      expect(found.at(-1)).not.toHaveProperty('err');
    }
    expect(api.log.filter(({ level }) => Number(level) > info)).toEqual([]);
  });

  it('does not count as an error what fails because the client left, which aborts the storage call', async () => {
    const copied = vi.spyOn(api.runtime.storage, 'copyFile');
    const signals: (AbortSignal | undefined)[] = [];
    copied.mockImplementation(async (_from, ctx) => {
      signals.push(ctx?.signal);
      if (signals.length === 1) throw storageError('file_not_found', 'There is none.');
      await once(ctx!.signal!, 'abort');
      throw new Error('The provider was left.');
    });
    const headers = await admin();
    const json = { source: { bucket: 'acme-uploads', key: 'a' }, destination: { bucket: 'acme-uploads', key: 'b' } };
    expect(await api.send('POST', '/api/v1/storage/copy', { headers, json })).toMatchObject({ status: 404 });
    await lines(1);
    const body = JSON.stringify(json);
    const connection = await RawConnection.open(api.url);
    await connection.write(
      `POST /api/v1/storage/copy HTTP/1.1\r\nHost: a\r\nAuthorization: ${headers.authorization}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await expect.poll(() => signals.length).toBe(2);
    connection.destroy();
    expect((await lines(2)).at(-1)).toMatchObject({ level: info, aborted: true });
    await expect.poll(() => signals.map((signal) => signal?.aborted)).toEqual([false, true]);
    copied.mockRestore();
  });
});
