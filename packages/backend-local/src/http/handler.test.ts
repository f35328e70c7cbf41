import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomBytes } from 'node:crypto';

import { encodeKey, hasCode, noContext } from '@coffer/storage-core';
import type { CannedAcl, PresignUploadOptions } from '@coffer/storage-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ask } from '../testing/request.ts';
import type { Answer, Ask } from '../testing/request.ts';
import { leftoversIn, scratch, serve } from '../testing/storage.ts';
import type { Served } from '../testing/storage.ts';
import { localHttpHandler } from './handler.ts';

let root: string;
let served: Served;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ path: root, remove } = await scratch());
  served = await serve(root, { corsOrigins: ['https://app.example', 'https://two.example'] });
});

afterAll(async () => {
  await served.stop();
  await remove();
});

const at = (key: string): { readonly bucket: string; readonly key: string } => ({ bucket: 'bucket', key });
const put = (key: string, text: string, acl: CannedAcl = 'private', contentType = 'text/plain'): Promise<unknown> =>
  served.backend.put(at(key), { kind: 'buffer', data: Buffer.from(text) }, { contentType, acl }, noContext);
const get = (target: string, options?: Ask): Promise<Answer> => ask(served.url, target, options);

/** The target of a presigned URL, as a client sends it. */
const targetOf = (url: string): string => url.slice(served.url.length);
async function downloadOf(key: string): Promise<string> {
  return targetOf((await served.backend.presign!.download(at(key), { expiresIn: 60 }, noContext)).url);
}
async function uploadOf(key: string, options: Partial<PresignUploadOptions> = {}): Promise<string> {
  return targetOf((await served.backend.presign!.upload(at(key), { expiresIn: 60, method: 'PUT', ...options }, noContext)).url);
}
async function isAbsent(key: string): Promise<boolean> {
  return served.backend.head(at(key), noContext).then(
    () => false,
    (error: unknown) => hasCode(error, 'file_not_found'),
  );
}

describe('objects without a token', () => {
  it.each(['public-read', 'public-read-write'] as const)('are served when their ACL is %s', async (acl) => {
    await put('open.txt', 'for everybody', acl);
    const answer = await get('/local/bucket/open.txt');
    expect(answer).toMatchObject({ status: 200, text: 'for everybody' });
    expect(answer.headers).toMatchObject({ 'content-type': 'text/plain', 'x-content-type-options': 'nosniff', 'content-length': '13' });
    expect((await get('/local/bucket/open.txt', { method: 'HEAD' })).headers['content-length']).toBe('13');
    expect(await get('/local/bucket/open.txt', { headers: { range: 'bytes=4-8' } })).toMatchObject({ status: 206, text: 'every' });
    const { etag = '' } = answer.headers;
    expect((await get('/local/bucket/open.txt', { headers: { 'if-none-match': etag } })).status).toBe(304);
    const beyond = await get('/local/bucket/open.txt', { headers: { range: 'bytes=99-' } });
    expect([beyond.status, beyond.headers['content-range']]).toEqual([416, 'bytes */13']);
  });

  it.each(['private', 'authenticated-read', 'bucket-owner-read'] as const)('are refused when their ACL is %s', async (acl) => {
    await put('closed.txt', 'not for everybody', acl);
    for (const method of ['GET', 'HEAD']) expect((await get('/local/bucket/closed.txt', { method })).status).toBe(403);
  });

  it('are refused in the same words whether they are private, absent, or in no bucket', async () => {
    await put('private.txt', 'x');
    const answers = await Promise.all(['bucket/private.txt', 'bucket/absent.txt', 'no-such-bucket/x'].map((path) => get(`/local/${path}`)));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 403 });
    expect(JSON.parse(answers[0]!.text)).toMatchObject({ code: 'access_denied', status: 403 });
  });

  it('stop being served when their ACL changes', async () => {
    await put('changing.txt', 'x', 'public-read');
    expect((await get('/local/bucket/changing.txt')).status).toBe(200);
    await served.backend.acl!.setObjectAcl(at('changing.txt'), 'private', noContext);
    expect((await get('/local/bucket/changing.txt')).status).toBe(403);
  });

  it('cannot be written, listed or deleted', async () => {
    await put('open.txt', 'x', 'public-read-write');
    expect((await get('/local/bucket/open.txt', { method: 'PUT', body: 'y' })).status).toBe(403);
    expect((await get('/local/bucket/open.txt', { method: 'DELETE' })).status).toBe(405);
    expect((await get('/local/bucket/open.txt', { method: 'POST', body: 'y' })).status).toBe(405);
    for (const path of ['/local/bucket', '/local/bucket/', '/local/']) expect((await get(path)).status).toBe(400);
  });

  it('that a browser would run are downloads', async () => {
    await put('page.html', '<script>alert(1)</script>', 'public-read', 'text/html');
    const { headers } = await get('/local/bucket/page.html');
    expect(headers['content-disposition']).toMatch(/^attachment/);
    expect(headers['content-security-policy']).toContain('sandbox');
  });
});

describe('the key of a request', () => {
  it.each(['a/b', 'a//b', 'ünï/日本', 'a%2fb', 'a+b c?d#e', '...', 'x'.repeat(1024)])('%s is read from the raw target', async (key) => {
    await put(key, `at ${key}`, 'public-read');
    expect((await get(`/local/bucket/${encodeKey(key)}`)).text).toBe(`at ${key}`);
    expect((await get(await downloadOf(key))).text).toBe(`at ${key}`);
  });

  it('may have its slashes encoded', async () => {
    await put('dir/file', 'found', 'public-read');
    expect((await get('/local/bucket/dir%2Ffile')).text).toBe('found');
  });

  it.each(['%2e%2e/x', '..%2fx', 'a/../b', 'a/./b', '%00', '%zz', '%c3', '%2fabsolute', '/x'])('%s is refused', async (raw) => {
    const answer = await get(`/local/bucket/${raw}`);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, 'invalid_key']);
  });

  it.each(['..', '%2e%2e', 'UPPER', '.tmp', 'a', 'index.db'])('the bucket %s is refused', async (bucket) => {
    const answer = await get(`/local/${bucket}/x`);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, 'invalid_bucket_name']);
  });

  it('and paths that are not below /local/ are left to others', async () => {
    for (const path of ['/', '/local', '/localx/bucket/x', '/api/local/bucket/x', '/Local/bucket/x']) {
      expect(await get(path)).toMatchObject({ status: 404, text: 'not ours' });
    }
  });
});

describe('presigned downloads', () => {
  it('say what was signed, and are kept out of shared caches', async () => {
    await put('report.bin', 'report');
    const options = { expiresIn: 60, contentDisposition: 'attachment; filename="r.txt"', contentType: 'text/plain' };
    const { url } = await served.backend.presign!.download(at('report.bin'), options, noContext);
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await get(targetOf(url), { method });
      expect([status, headers['content-disposition'], headers['content-type'], headers['cache-control']]).toEqual([
        200,
        'attachment; filename="r.txt"',
        'text/plain',
        'private',
      ]);
    }
  });

  it('of what is not there are 404, since whoever signed knows the key', async () => {
    expect(JSON.parse((await get(await downloadOf('absent'))).text)).toMatchObject({ status: 404, code: 'file_not_found' });
  });

  it('that were tampered with are refused even where the object is public', async () => {
    await put('public.txt', 'x', 'public-read');
    expect((await get(`${await downloadOf('public.txt')}x`)).status).toBe(403);
  });

  it('whose client leaves half way hold no file open', async () => {
    await served.backend.put(at('large'), { kind: 'buffer', data: randomBytes(20_000_000) }, { contentType: 'a/b' }, noContext);
    const target = await downloadOf('large');
    for (let turn = 0; turn < 20; turn++) {
      await expect(ask(served.url, target, { send: (request) => request.end().on('response', (response) => response.once('data', () => request.destroy())) })).rejects.toThrow();
    }
    expect((await get(await downloadOf('large'), { headers: { range: 'bytes=0-9' } })).status).toBe(206);
  });
});

describe('presigned PUTs', () => {
  beforeEach(async () => {
    for (const key of ['up', 'bound']) await served.backend.delete(at(key), noContext);
  });

  it('answer 200 with the ETag', async () => {
    const answer = await get(await uploadOf('up'), { method: 'PUT', body: 'bytes', headers: { 'content-type': 'text/x-up' } });
    expect(answer).toMatchObject({ status: 200, text: '' });
    const info = await served.backend.head(at('up'), noContext);
    expect([`"${info.etag}"`, info.contentType]).toEqual([answer.headers.etag, 'text/x-up']);
  });

  it('take just the size that was signed', async () => {
    const target = await uploadOf('bound', { size: 5 });
    for (const body of ['', '1234', '123456']) {
      expect((await get(target, { method: 'PUT', body, headers: { 'content-length': String(body.length) } })).status).toBe(400);
      // Without an announced length it shows only as the bytes arrive.
      expect((await get(target, { method: 'PUT', body, headers: { 'transfer-encoding': 'chunked' } })).status).toBe(400);
    }
    expect(await isAbsent('bound')).toBe(true);
    expect((await get(target, { method: 'PUT', body: '12345', headers: { 'transfer-encoding': 'chunked' } })).status).toBe(200);
  });

  it('cut a body off that is longer, early, and tell its sender', async () => {
    const target = await uploadOf('bound', { size: 5 });
    let sent = 0;
    const answer = await ask(served.url, target, {
      method: 'PUT',
      headers: { 'transfer-encoding': 'chunked' },
      send: (request) => {
        const chunk = randomBytes(65_536);
        let over = false;
        const more = (): void => {
          while (!over && request.write(chunk)) sent += chunk.length;
        };
        request.on('drain', more);
        request.on('response', () => (over = true));
        more();
      },
    }).catch((error: unknown) => error);
    // Who sends on and on is cut off; who listens is told.
    if (!(answer instanceof Error)) expect(answer).toMatchObject({ status: 400 });
    expect(sent).toBeLessThan(64_000_000);
    expect(await isAbsent('bound')).toBe(true);
    expect(await leftoversIn(root, served.backend)).toEqual([]);
  });

  it('take just the type that was signed', async () => {
    const target = await uploadOf('bound', { contentType: 'image/png' });
    for (const type of ['image/gif', 'image/png; charset=x', 'text/html', '']) {
      const headers: Record<string, string> = type === '' ? {} : { 'content-type': type };
      expect((await get(target, { method: 'PUT', body: 'x', headers })).status).toBe(403);
    }
    expect(await isAbsent('bound')).toBe(true);
    expect((await get(target, { method: 'PUT', body: 'x', headers: { 'content-type': 'image/png' } })).status).toBe(200);
  });

  it('store nothing of a body whose sender leaves', async () => {
    const target = await uploadOf('up', { size: 5_000_000 });
    const leaving = ask(served.url, target, {
      method: 'PUT',
      headers: { 'content-length': '5000000' },
      send: (request) => request.write(randomBytes(3_000_000), () => request.destroy()),
    });
    await expect(leaving).rejects.toThrow();
    await expect.poll(() => leftoversIn(root, served.backend)).toEqual([]);
    expect(await isAbsent('up')).toBe(true);
  });

  it('may be told not to overwrite', async () => {
    await put('up', 'old');
    const headers = { 'if-none-match': '*' };
    expect((await get(await uploadOf('up'), { method: 'PUT', body: 'new', headers })).status).toBe(412);
    await served.backend.delete(at('up'), noContext);
    expect((await get(await uploadOf('up'), { method: 'PUT', body: 'new', headers })).status).toBe(200);
  });

  it('into a bucket that is gone are 404', async () => {
    const { url } = await served.backend.presign!.upload({ bucket: 'gone-bucket', key: 'x' }, { expiresIn: 60, method: 'PUT' }, noContext);
    expect(JSON.parse((await get(targetOf(url), { method: 'PUT', body: 'x' })).text)).toMatchObject({ status: 404, code: 'no_such_bucket' });
  });

  it('give the object the ACL and the storage class that were signed', async () => {
    const target = await uploadOf('up', { acl: 'public-read', storageClass: 'STANDARD_IA' });
    expect((await get(target, { method: 'PUT', body: 'x' })).status).toBe(200);
    expect((await get('/local/bucket/up')).text).toBe('x');
    expect((await served.backend.head(at('up'), noContext)).storageClass).toBe('STANDARD_IA');
  });
});

describe('pages of other origins', () => {
  it('may use the storage when they are allowed to', async () => {
    await put('cors.txt', 'x', 'public-read');
    const { headers } = await get('/local/bucket/cors.txt', { headers: { origin: 'https://two.example' } });
    expect(headers['access-control-allow-origin']).toBe('https://two.example');
    expect(headers['access-control-expose-headers']).toContain('ETag');
    expect(headers.vary).toContain('Origin');
    expect(headers['access-control-allow-credentials']).toBeUndefined();
  });

  it('see the errors, too', async () => {
    const { status, headers } = await get('/local/bucket/absent', { headers: { origin: 'https://app.example' } });
    expect([status, headers['access-control-allow-origin']]).toEqual([403, 'https://app.example']);
  });

  it('are answered the question they ask first', async () => {
    const asked = { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type,x-any' };
    const allowed = await get('/local/bucket/x', { method: 'OPTIONS', headers: { origin: 'https://app.example', ...asked } });
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': 'GET, HEAD, PUT, POST',
      'access-control-allow-headers': 'content-type,x-any',
    });
    const other = await get('/local/bucket/x', { method: 'OPTIONS', headers: { origin: 'https://evil.example', ...asked } });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
    expect(other.headers['access-control-allow-methods']).toBeUndefined();
  });

  it('are all let in by the default', async () => {
    const handle = localHttpHandler({ backend: served.backend });
    const server = createServer((request, response) => void handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await put('cors.txt', 'x', 'public-read');
    const { headers } = await ask(url, '/local/bucket/cors.txt', { headers: { origin: 'https://any.example' } });
    expect([headers['access-control-allow-origin'], headers.vary]).toEqual(['*', undefined]);
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('errors', () => {
  it('go to whoever asked for them', async () => {
    const seen: unknown[] = [];
    const handle = localHttpHandler({
      backend: served.backend,
      onError: (error, _request, response) => {
        seen.push(error);
        response.writeHead(418).end('short and stout');
      },
    });
    const server = createServer((request, response) => void handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await ask(url, '/local/bucket/absent')).toMatchObject({ status: 418, text: 'short and stout' });
    expect(seen).toMatchObject([{ code: 'access_denied' }]);
    await new Promise((resolve) => server.close(resolve));
  });
});
