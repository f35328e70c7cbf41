import { afterAll, beforeAll, expect, it } from 'vitest';

import { onEachBackend } from '../../testing/on-each-backend.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { admin } from '../../testing/tokens.ts';

const base = '/api/v1/storage/objects/';

onEachBackend('keys', ({ start, abilities }) => {
  let api: TestApi;
  let headers: { authorization: string };
  const send: TestApi['send'] = (method, raw, options = {}) =>
    api.send(method, base + raw, { ...options, headers: { ...headers, ...options.headers } });

  beforeAll(async () => {
    api = await start();
    headers = await admin();
    await send('PUT', 'first', { body: 'x' }); // creates the bucket
  });
  afterAll(() => api.stop());

  it.each([
    ['a', 'a'],
    ['a/b/c', 'a/b/c'],
    ['a%2Fb', 'a/b'],
    ['a%2fb', 'a/b'],
    ['a//b', 'a//b'],
    ['a/', 'a/'],
    ['a%2F', 'a/'],
    ['a///', 'a///'],
    ['a+b', 'a+b'],
    ['a%2Bb', 'a+b'],
    ['a%20b', 'a b'],
    ['a%25b', 'a%b'],
    ['a%2525', 'a%25'],
    ['a%252Fb', 'a%2Fb'],
    ['%252e%252e/x', '%2e%2e/x'],
    ['%C3%BC', 'ü'],
    ['%F0%9F%98%80', '😀'],
    ['u%CC%88', 'u\u0308'],
    ['...', '...'],
    ['.a/..b/c.', '.a/..b/c.'],
    ['a;b=c,d', 'a;b=c,d'],
    ['a%3Fb', 'a?b'],
    ['a%23b', 'a#b'],
    ['a#b', 'a#b'],
    ['a%5Cb', 'a\\b'],
    ['a\\b', 'a\\b'],
    ["!$&'()*~@:", "!$&'()*~@:"],
    ['[]|^`{}"<>', '[]|^`{}"<>'],
    ['acl', 'acl'],
    ['acl/', 'acl/'],
    ['x/aclx', 'x/aclx'],
    ['x%2Facl', 'x/acl'],
    ['x/y%2facl', 'x/y/acl'],
    ['constructor', 'constructor'],
    ['__proto__', '__proto__'],
    ['CON', 'CON'],
    ['a:b', 'a:b'],
    ['-rf', '-rf'],
    ['copy', 'copy'],
    ["';%20DROP%20TABLE%20files;%20--", "'; DROP TABLE files; --"],
    ['a'.repeat(1024), 'a'.repeat(1024)],
    ['%C3%BC'.repeat(512), 'ü'.repeat(512)],
    ['k/'.repeat(512), 'k/'.repeat(512)],
  ])('are read from the raw request line: %.40s', async (raw, key) => {
    const put = await send('PUT', raw, { body: key });
    if (abilities.refusesKey(key)) {
      expect(put).toMatchObject({ status: 400, json: { code: 'invalid_key', detail: expect.stringMatching(/provider/) } });
      return;
    }
    expect(put).toMatchObject({ status: 201, json: { key } });
    expect(await send('GET', raw)).toMatchObject({ status: 200, text: key });
    expect(await send('HEAD', raw)).toMatchObject({ status: 200, headers: { etag: `"${put.json.etag}"` } });
    const form = new FormData();
    form.set('file', new Blob(['form']));
    expect(await send('POST', raw, { form })).toMatchObject({ status: 201, json: { key } });
    const listed = await api.send('GET', `${base}?prefix=${encodeURIComponent(key)}`, { headers });
    expect(listed.json.objects.map((object: { key: string }) => object.key)).toContain(key);
    const copied = await api.send('POST', '/api/v1/storage/copy', { headers, json: { source: { key }, destination: { key: 'copied' } } });
    expect(copied).toMatchObject({ status: 200 });
    expect(await send('DELETE', raw)).toMatchObject({ status: 204 });
    expect(await send('GET', raw)).toMatchObject({ status: 404 });
  });

  it('are refused as bytes that were not encoded', async () => {
    for (const bytes of [Buffer.from('größe'), Buffer.from([0x61, 0xff])])
      expect((await send('PUT', bytes.toString('latin1'), { body: 'x' })).status).toBe(400);
  });

  it('are kept apart by case and Unicode normalization, and "dir" stands beside "dir/x"', async () => {
    for (const [raw, body] of [
      ['Case', 'upper'],
      ['case', 'lower'],
      ['%C3%A4', 'composed'],
      ['a%CC%88', 'decomposed'],
      ['dir', 'file'],
      ['dir/x', 'below'],
    ] as const)
      await send('PUT', raw, { body });
    for (const [raw, text] of [
      ['Case', 'upper'],
      ['case', 'lower'],
      ['%C3%A4', 'composed'],
      ['a%CC%88', 'decomposed'],
      ['dir', 'file'],
      ['dir/x', 'below'],
    ] as const)
      expect(await send('GET', raw)).toMatchObject({ text });
  });

  it.each([
    '%00',
    'a%00b',
    '%0a',
    'a%0Db',
    '%7F',
    '%C2%80',
    '%1b%5B31m',
    '..',
    '../x',
    '%2e%2e',
    '%2e%2e/x',
    '%2E%2E%2Fx',
    'a/..',
    'a/../b',
    'a/%2e%2e/b',
    'a/.%2e/b',
    'a%2F..%2Fb',
    '.',
    './x',
    'a/./b',
    'a/%2e',
    '%2e',
    '/',
    '/x',
    '//x',
    '%2F',
    '%2Fx',
    '%2F%2Fx',
    '%',
    'a%',
    '%2',
    '%zz',
    '%E0%A4%A',
    '%ff',
    '%C3',
    '%ED%A0%80',
    '%F4%90%80%80',
    '%C0%AF',
    '%c0%ae%c0%ae/x',
    '%u0041',
    'a'.repeat(1025),
    '%C3%BC'.repeat(513),
    'a'.repeat(8000),
  ])('are refused: %.40s', async (raw) => {
    const refused = { status: 400, json: { code: 'invalid_key' } };
    for (const method of ['GET', 'DELETE']) expect(await send(method, raw)).toMatchObject(refused);
    expect(await send('HEAD', raw)).toMatchObject({ status: 400 });
    expect(await send('PUT', raw, { body: 'x' })).toMatchObject(refused);
    const form = new FormData();
    form.set('file', new Blob(['x']));
    expect(await send('POST', raw, { form })).toMatchObject(refused);
    expect(await send('GET', `${raw}/acl`)).toMatchObject(refused);
    expect(await send('PUT', `${raw}/acl`, { json: { acl: 'private' } })).toMatchObject(refused);
  });

  it('that end in /acl address the ACL on GET and PUT only', async () => {
    await send('PUT', 'doc', { body: 'object' });
    await send('PUT', 'doc%2Facl', { body: 'object named acl' });
    const acl = abilities.acl ? { status: 200, json: { grants: expect.any(Array) } } : { status: 501, json: { code: 'acl_not_supported' } };
    expect(await send('GET', 'doc/acl')).toMatchObject(acl);
    expect((await send('GET', 'doc%2Facl')).text).toBe('object named acl');
    expect(await send('HEAD', 'doc/acl')).toMatchObject({ status: 200, headers: { 'content-length': '16' } });
    expect(await send('GET', 'doc%2Facl/acl')).toMatchObject(acl);
    expect(await send('GET', 'doc/acl/acl')).toMatchObject(acl);
    const form = new FormData();
    form.set('file', new Blob(['posted']));
    expect(await send('POST', 'doc/acl', { form })).toMatchObject({ status: 201, json: { key: 'doc/acl' } });
    expect((await send('GET', 'doc%2Facl')).text).toBe('posted');
    expect(await send('DELETE', 'doc/acl')).toMatchObject({ status: 204 });
    expect((await send('GET', 'doc%2Facl')).status).toBe(404);
    expect((await send('GET', 'doc')).text).toBe('object');
  });
});
