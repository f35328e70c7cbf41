import { createHash, randomBytes } from 'node:crypto';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { onEachBackend, where } from '../../testing/on-each-backend.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { admin } from '../../testing/tokens.ts';

onEachBackend('a download of an object', ({ start, bucket, abilities }) => {
  let api: TestApi;
  let headers: { authorization: string };
  let modified: string;
  const data = randomBytes(300_000);
  const etag = `"${createHash('md5').update(data).digest('hex')}"`;
  const past = new Date(Date.now() - 86_400_000).toUTCString();
  const future = new Date(Date.now() + 86_400_000).toUTCString();
  const get = (extra: Record<string, string> = {}, key = 'data', method = 'GET') =>
    api.send(method, `/api/v1/storage/objects/${key}`, { headers: { ...headers, ...extra } });

  beforeAll(async () => {
    api = await start();
    headers = await admin();
    await api.send('PUT', '/api/v1/storage/objects/data', { headers, body: data });
    await api.send('PUT', '/api/v1/storage/objects/empty', { headers, body: '' });
    modified = (await get()).headers['last-modified'] ?? '';
  });
  afterAll(() => api.stop());

  it('is whole, with what describes it', async () => {
    const answer = await get();
    expect(answer.status).toBe(200);
    expect(answer.bytes.equals(data)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(data.length),
      'accept-ranges': 'bytes',
      etag,
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
      'x-request-id': expect.any(String),
    });
    expect(Date.parse(modified)).toBeLessThanOrEqual(Date.now());
    expect(await get({}, 'empty')).toMatchObject({ status: 200, text: '', headers: { 'content-length': '0' } });
  });

  it('tells with HEAD what GET would', async () => {
    const answer = await get();
    const head = await get({}, 'data', 'HEAD');
    expect(head).toMatchObject({ status: 200, text: '' });
    for (const name of ['content-type', 'content-length', 'accept-ranges', 'etag', 'last-modified', 'x-content-type-options'])
      expect(head.headers[name]).toBe(answer.headers[name]);
    expect(await get({}, 'absent', 'HEAD')).toMatchObject({ status: 404, text: '' });
    expect(await get({ 'if-none-match': etag }, 'data', 'HEAD')).toMatchObject({ status: 304, text: '' });
    expect(await get({ 'if-match': '"other"' }, 'data', 'HEAD')).toMatchObject({ status: 412, text: '' });
  });

  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=0-99', 0, 99],
    ['bytes=100-', 100, 299_999],
    ['bytes=-100', 299_900, 299_999],
    ['bytes=-9999999', 0, 299_999],
    ['bytes=299999-', 299_999, 299_999],
    ['bytes=0-9999999', 0, 299_999],
    ['bytes=65535-131073', 65_535, 131_073],
    ['BYTES=1-2', 1, 2],
  ])('gives the range %s', async (range, start, end) => {
    const answer = await get({ range });
    expect(answer.status).toBe(206);
    expect(answer.headers).toMatchObject({
      'content-range': `bytes ${start}-${end}/300000`,
      'content-length': String(end - start + 1),
      etag,
    });
    expect(answer.bytes.equals(data.subarray(start, end + 1))).toBe(true);
  });

  it.each(['bytes=300000-', 'bytes=300000-400000', 'bytes=-0', 'bytes=99999999999999999999-'])('refuses the range %s', async (range) => {
    const answer = await get({ range });
    expect(answer).toMatchObject({
      status: 416,
      json: { code: 'range_not_satisfiable' },
      headers: { 'content-range': 'bytes */300000', 'content-type': 'application/problem+json' },
    });
  });

  it('refuses every range of an empty object', async () => {
    for (const range of ['bytes=0-0', 'bytes=0-', 'bytes=-1'])
      expect(await get({ range }, 'empty')).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */0' } });
  });

  it.each(['bytes=0-1,3-4', 'bytes=5-2', 'bytes=a-b', 'bytes=', 'bytes=-', 'lines=1-2', 'bytes', 'bytes=1 -2', ''])(
    'is whole where the range is none or several: %j',
    async (range) => {
      expect(await get({ range })).toMatchObject({ status: 200, headers: { 'content-length': '300000' } });
    },
  );

  it.each([
    [{ 'if-none-match': etag }, 304],
    [{ 'if-none-match': `W/${etag}` }, 304],
    [{ 'if-none-match': `"x", ${etag}` }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"x"' }, 200],
    [{ 'if-none-match': '"x"', 'if-modified-since': future }, 200],
    [{ 'if-modified-since': future }, 304],
    [{ 'if-modified-since': past }, 200],
    [{ 'if-modified-since': 'yesterday' }, 200],
    [{ 'if-modified-since': '1' }, 200],
    [{ 'if-match': etag }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': '"x"' }, 412],
    [{ 'if-match': `W/${etag}` }, 412],
    [{ 'if-unmodified-since': past }, 412],
    [{ 'if-unmodified-since': future }, 200],
    [{ 'if-match': etag, 'if-unmodified-since': past }, 200],
    [{ 'if-match': '"x"', 'if-none-match': etag }, 412],
    [{ 'if-none-match': etag, range: 'bytes=0-9' }, 304],
    [{ 'if-match': '"x"', range: 'bytes=0-9' }, 412],
    [{ 'if-match': etag, range: 'bytes=0-9' }, 206],
  ])('depends on %j: %i', async (conditions, status) => {
    const answer = await get(conditions as Record<string, string>);
    expect(answer.status).toBe(status);
    if (status === 304) expect(answer).toMatchObject({ text: '', headers: { etag } });
    if (status === 412) expect(answer.json).toMatchObject({ code: 'precondition_failed' });
  });

  it('gives a range only of the object that If-Range names', async () => {
    const range = { range: 'bytes=0-9' };
    for (const same of [etag, modified]) expect(await get({ ...range, 'if-range': same })).toMatchObject({ status: 206 });
    for (const other of ['"x"', `W/${etag}`, past, future, 'nonsense'])
      expect(await get({ ...range, 'if-range': other })).toMatchObject({ status: 200 });
  });

  it.each([
    ['text/html', 'attachment'],
    ['image/svg+xml', 'attachment'],
    ['application/xhtml+xml', 'attachment'],
    ['text/javascript', 'attachment'],
    ['text/xml; charset=utf-8', 'attachment'],
    ['application/x-unknown', 'attachment'],
    ['image/png', undefined],
    ['text/plain; charset=utf-8', undefined],
    ['application/pdf', undefined],
    ['video/mp4', undefined],
  ])('of the type %s is %s for a browser', async (type, disposition) => {
    await api.send('PUT', '/api/v1/storage/objects/typed', { headers: { ...headers, 'content-type': type }, body: '<script>' });
    for (const method of ['GET', 'HEAD']) {
      const answer = await get({}, 'typed', method);
      expect(answer.headers['content-type']).toBe(type);
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
      expect(answer.headers['content-disposition']).toBe(disposition);
    }
  });

  where(abilities.local, () =>
    it('of a public object needs no token at its local address, and of a private one a signature', async () => {
      await api.send('PUT', '/api/v1/storage/objects/open/%C3%BC.txt?acl=public-read', { headers, body: 'for all' });
      const local = `/local/${bucket('coffer-uploads')}/open/%C3%BC.txt`;
      expect(await api.send('GET', local)).toMatchObject({ status: 200, text: 'for all', headers: { 'x-request-id': expect.any(String) } });
      expect(await api.send('HEAD', local)).toMatchObject({ status: 200, text: '' });
      expect(await api.send('GET', local, { headers: { range: 'bytes=0-2' } })).toMatchObject({ status: 206, text: 'for' });
      await api.send('PUT', '/api/v1/storage/objects/open/%C3%BC.txt/acl', { headers, json: { acl: 'private' } });
      const refused = await api.send('GET', local, { headers: { ...headers, 'x-request-id': 'my-id' } });
      expect(refused).toMatchObject({
        status: 403,
        json: { code: 'access_denied', request_id: 'my-id', type: 'about:blank', title: 'Forbidden' },
      });
      for (const method of ['PUT', 'POST', 'DELETE', 'PATCH'])
        expect((await api.send(method, local, { headers })).status).toBeGreaterThanOrEqual(400);
      expect((await get({}, 'open/%C3%BC.txt')).text).toBe('for all');
    }),
  );
});
