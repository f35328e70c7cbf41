import { STATUS_CODES } from 'node:http';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { askRaw } from './testing/raw-http.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { admin } from './testing/tokens.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('the server', () => {
  let api: TestApi;
  let root: { authorization: string };

  beforeAll(async () => {
    api = await startApi();
    root = await admin();
  });
  afterAll(() => api.stop());

  it('answers problems as RFC 9457 has them', async () => {
    const { status, headers, json } = await api.send('GET', '/api/v1/nothing');
    expect(status).toBe(404);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(headers['cache-control']).toBe('no-store');
    expect(json).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      code: 'not_found',
      detail: expect.stringContaining('/api/v1/nothing'),
      request_id: headers['x-request-id'],
    });
    expect(headers['x-request-id']).toMatch(uuid);
  });

  it.each([
    ['/api/v1/storage/objects', 'GET, HEAD, OPTIONS'],
    ['/api/v1/storage/objects/a/b', 'DELETE, GET, HEAD, OPTIONS, POST, PUT'],
    ['/api/v1/storage/buckets', 'GET, HEAD, OPTIONS, POST'],
    ['/api/v1/storage/buckets/', 'GET, HEAD, OPTIONS, POST'],
    ['/api/v1/storage/copy', 'OPTIONS, POST'],
    ['/api/v1/files/upload', 'OPTIONS, POST'],
    ['/api/v1/files/presigned-upload/', 'OPTIONS, POST'],
    ['/api/v1/files/0b946ac9-2492-4d23-8f5c-6a3f0a1c9e55', 'DELETE, GET, HEAD, OPTIONS, PATCH'],
    ['/api/v1/files/0b946ac9-2492-4d23-8f5c-6a3f0a1c9e55/download', 'GET, HEAD, OPTIONS'],
    ['/health/live', 'GET, HEAD, OPTIONS'],
    ['/openapi.json', 'GET, HEAD, OPTIONS'],
    ['/docs', 'GET, HEAD, OPTIONS'],
    ['/metrics', 'GET, HEAD, OPTIONS'],
  ])('knows the methods of %s', async (path, allow) => {
    const wrong = await api.send('PROPFIND', path, { headers: root });
    expect(wrong).toMatchObject({ status: 405, headers: { allow }, json: { code: 'method_not_allowed' } });
    const asked = await api.send('OPTIONS', path);
    expect(asked).toMatchObject({ status: 204, headers: { allow }, text: '' });
  });

  it('takes a path as it is written before one with a parameter in its place', async () => {
    for (const method of ['GET', 'HEAD', 'PATCH', 'DELETE'])
      expect(await api.send(method, '/api/v1/files/upload', { headers: root })).toMatchObject({
        status: 405,
        headers: { allow: 'OPTIONS, POST' },
      });
  });

  it.each([
    '/',
    '/api',
    '/api/v1',
    '/api/v1/files/x/y/z',
    '//api/v1/files',
    '/API/v1/files',
    '/api/v1/files%2F',
    '/health',
    '/openapi.json/',
    '/local',
    '/local2/x',
    '/api/v1/storage',
    '/..',
    '/api/v1/../v1/files',
    '*',
  ])('has nothing at %s', async (path) => {
    expect(await api.send('GET', path, { headers: root })).toMatchObject({ status: 404, json: { code: 'not_found' } });
    expect(await api.send('OPTIONS', path)).toMatchObject({ status: 404 });
  });

  it.each(['/api/v1/files', '/api/v1/storage/buckets', '/api/v1/storage/objects', '/api/v1/admin/tenants'])(
    'answers %s with and without a slash at its end, and HEAD',
    async (path) => {
      for (const each of [path, `${path}/`]) {
        const { status, headers, bytes } = await api.send('GET', each, { headers: root });
        const length = String(bytes.length);
        expect({ status, headers }).toMatchObject({
          status: 200,
          headers: { 'content-type': 'application/json', 'content-length': length },
        });
        const head = await api.send('HEAD', each, { headers: root });
        expect(head).toMatchObject({ status: 200, text: '', headers: { 'content-length': length } });
      }
      expect(await api.send('HEAD', `${path}/`)).toMatchObject({
        status: 401,
        text: '',
        headers: { 'content-type': 'application/problem+json' },
      });
    },
  );

  it('asks for a token', async () => {
    for (const headers of [{}, { authorization: 'Basic YTpi' }, { authorization: 'Bearer nonsense' }]) {
      const answer = await api.send('GET', '/api/v1/files', { headers });
      expect(answer).toMatchObject({ status: 401, json: { code: 'unauthorized' } });
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
  });

  it('takes safe request ids and replaces others', async () => {
    for (const id of ['abc-123', 'A.b:c@d/e+f=_', 'x'.repeat(128)]) {
      const { headers, json } = await api.send('GET', '/nothing', { headers: { 'x-request-id': id } });
      expect(headers['x-request-id']).toBe(id);
      expect(json).toMatchObject({ request_id: id });
    }
    for (const id of ['', 'a b', '<script>', 'a"b', 'x'.repeat(129), 'ü', 'a,b', '${jndi:ldap://x}']) {
      const { headers } = await api.send('GET', '/nothing', { headers: { 'x-request-id': id } });
      expect(headers['x-request-id']).toMatch(uuid);
    }
    const twice = await askRaw(api.url, 'GET /health/live HTTP/1.1\r\nHost: a\r\nX-Request-ID: one\r\nX-Request-ID: two\r\n\r\n');
    expect(twice.headers['x-request-id']).toMatch(uuid);
    twice.connection.destroy();
  });

  it('takes the absolute form of a target, as proxies send it, and odd hosts', async () => {
    for (const head of [
      'GET http://example.com/health/live HTTP/1.1\r\nHost: example.com',
      'GET HTTP://example.com/health/live HTTP/1.1\r\nHost: example.com',
      'GET http://example.com/health/live?x=1 HTTP/1.1\r\nHost: example.com',
      'GET https://example.com/health/live HTTP/1.1\r\nHost: example.com',
      'GET /health/live HTTP/1.1\r\nHost: [::1]:8080',
      'GET /health/live HTTP/1.1\r\nHost: [0:0:0:0:0:0:0:1]:8080', // curl sends what was typed
      'GET /health/live HTTP/1.1\r\nHost: my_service.internal:80',
      'GET /health/live HTTP/1.1\r\nHost: localhost:', // RFC 3986: a port may be empty
      'GET /health/live HTTP/1.1\r\nHost:',
      'GET /health/live HTTP/1.0',
    ]) {
      const { status, body, connection } = await askRaw(api.url, `${head}\r\n\r\n`);
      expect({ head, status, body }).toEqual({ head, status: 200, body: '{"status":"live"}' });
      connection.destroy();
    }
    for (const target of ['http://example.com', 'http://example.com?x=/health/live']) {
      const { status, body, connection } = await askRaw(api.url, `GET ${target} HTTP/1.1\r\nHost: example.com\r\n\r\n`);
      expect({ status, detail: JSON.parse(body).detail }).toEqual({ status: 404, detail: expect.stringContaining('nothing at /;') });
      connection.destroy();
    }
  });

  it.each([
    ['no host', 'GET /health/live HTTP/1.1\r\n\r\n', 400],
    ['a host with a space', 'GET /health/live HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
    ['a host that is a path', 'GET /health/live HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    ['a malformed host', 'GET /health/live HTTP/1.1\r\nHost: [::\r\n\r\n', 400],
    ['two hosts', 'GET /health/live HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n', 400],
    ['no host below /local/', 'GET /local/coffer-uploads/x HTTP/1.1\r\n\r\n', 400],
    ['two hosts below /local/', 'GET /local/coffer-uploads/x HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n', 400],
    [
      'two hosts of a preflight',
      'OPTIONS / HTTP/1.1\r\nHost: a\r\nhost: b\r\nOrigin: http://a\r\nAccess-Control-Request-Method: GET\r\n\r\n',
      400,
    ],
    ['no request', 'hello\r\n\r\n', 400],
    ['TLS', Buffer.from('16030100a5010000a10303', 'hex').toString('latin1') + '\r\n\r\n', 400],
    ['huge headers', `GET /health/live HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['two lengths', 'POST /api/v1/files/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    [
      'a length and chunks',
      'POST /api/v1/files/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a length that is no number', 'POST /api/v1/files/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\n', 400],
    ['a header with NUL', 'GET /health/live HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n', 400],
    ['an expectation nobody has', 'POST /api/v1/files/upload HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 0\r\n\r\n', 417],
  ])('refuses %s', async (_what, head, status) => {
    const answer = await askRaw(api.url, head);
    expect(answer).toMatchObject({ status, headers: { date: expect.stringMatching(/ GMT$/) } }); // RFC 9110, section 6.6.1
    expect(JSON.parse(answer.body)).toMatchObject({ status, title: STATUS_CODES[status], code: 'validation_failed' });
    answer.connection.destroy();
  });

  it.each(['a b', '[::', 'a:port', '%zz', '[::1]x'])(
    'answers under its id a request whose host is %s, and reads no endless body of it',
    async (host) => {
      const { status, headers, body, connection } = await askRaw(
        api.url,
        `PUT /api/v1/files HTTP/1.1\r\nHost: ${host}\r\nX-Request-ID: malformed-1\r\nContent-Length: 1000000000\r\n\r\n`,
      );
      expect({ status, headers, json: JSON.parse(body) }).toMatchObject({
        status: 400,
        headers: { 'x-request-id': 'malformed-1' },
        json: { code: 'validation_failed', detail: 'The Host header is malformed.', request_id: 'malformed-1' },
      });
      const chunk = Buffer.alloc(1_000_000);
      let sent = 0;
      for (; sent < 200 && !connection.socket.destroyed; sent++) await connection.write(chunk);
      expect(sent).toBeLessThan(100);
      connection.destroy();
      await expect.poll(() => api.log).toContainEqual(expect.objectContaining({ request_id: 'malformed-1', code: 'validation_failed' }));
      api.log.length = 0;
    },
  );

  it('tells in a problem what was wrong with what was no request', async () => {
    const answer = await askRaw(api.url, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(answer.body)).toMatchObject({ status: 431, code: 'validation_failed', request_id: answer.headers['x-request-id'] });
    expect(await answer.connection.closesInTime(3000)).toBe(true);
  });

  it('says that a URL must be percent-encoded', async () => {
    const { status, body } = await askRaw(api.url, 'GET /api/v1/storage/objects?prefix=ü HTTP/1.1\r\nHost: a\r\n\r\n');
    expect({ status, ...JSON.parse(body) }).toMatchObject({
      status: 400,
      code: 'validation_failed',
      detail: 'The URL is not valid: percent-encode what is not ASCII.',
    });
  });
});
