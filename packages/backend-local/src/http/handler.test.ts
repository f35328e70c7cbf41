import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { encodeKey, noContext } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { LocalBackend } from '../backend.ts';
import { clientOf } from '../testing/client.ts';
import type { Client } from '../testing/client.ts';
import { ask, boundary, formOf } from '../testing/request.ts';
import { serve } from '../testing/storage.ts';
import type { Served } from '../testing/storage.ts';
import { localHttpHandler } from './handler.ts';

let served: Served;
let client: Client;

beforeAll(async () => {
  served = await serve();
  client = clientOf(served);
});

afterAll(() => served.stop());

describe('objects without a token', () => {
  it.each(['public-read', 'public-read-write'] as const)('are served when their ACL is %s', async (acl) => {
    await client.put('open.txt', 'for everybody', acl);
    const answer = await client.get('/local/bucket/open.txt');
    expect(answer).toMatchObject({ status: 200, text: 'for everybody' });
    expect(answer.headers).toMatchObject({ 'content-type': 'text/plain', 'x-content-type-options': 'nosniff', 'content-length': '13' });
    const part = { headers: { range: 'bytes=4-8' } };
    expect(await client.get('/local/bucket/open.txt', part)).toMatchObject({ status: 206, text: 'every' });
    const head = await client.get('/local/bucket/open.txt', { method: 'HEAD', ...part });
    expect([head.status, head.headers['content-length'], head.headers['content-range']]).toEqual([206, '5', 'bytes 4-8/13']);
    const { etag = '' } = answer.headers;
    expect((await client.get('/local/bucket/open.txt', { headers: { 'if-none-match': etag } })).status).toBe(304);
    const beyond = await client.get('/local/bucket/open.txt', { headers: { range: 'bytes=99-' } });
    expect([beyond.status, beyond.headers['content-range']]).toEqual([416, 'bytes */13']);
  });

  it.each(['private', 'authenticated-read', 'bucket-owner-read'] as const)('are refused when their ACL is %s', async (acl) => {
    await client.put('closed.txt', 'not for everybody', acl);
    for (const method of ['GET', 'HEAD']) expect((await client.get('/local/bucket/closed.txt', { method })).status).toBe(403);
  });

  it('are refused in the same words whether they are private, absent, or in no bucket', async () => {
    await client.put('private.txt', 'x');
    const answers = await Promise.all(
      ['bucket/private.txt', 'bucket/absent.txt', 'no-such-bucket/x'].map((path) => client.get(`/local/${path}`)),
    );
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 403 });
    expect(JSON.parse(answers[0]!.text)).toMatchObject({ code: 'access_denied', status: 403 });
  });

  it('stop being served when their ACL changes', async () => {
    await client.put('changing.txt', 'x', 'public-read');
    const { status, headers } = await client.get('/local/bucket/changing.txt');
    expect([status, headers['cache-control']]).toEqual([200, 'no-cache']); // otherwise a browser would keep serving it
    await served.backend.acl!.setObjectAcl(client.at('changing.txt'), 'private', noContext);
    expect((await client.get('/local/bucket/changing.txt')).status).toBe(403);
  });

  it('cannot be written, listed or deleted', async () => {
    await client.put('open.txt', 'x', 'public-read-write');
    expect((await client.get('/local/bucket/open.txt', { method: 'PUT', body: 'y' })).status).toBe(403);
    expect((await client.get('/local/bucket/open.txt', { method: 'DELETE' })).status).toBe(405);
    expect((await client.get('/local/bucket/open.txt', { method: 'POST', body: 'y' })).status).toBe(405);
    for (const path of ['/local/bucket', '/local/bucket/']) expect((await client.get(path)).status).toBe(405);
    expect((await client.get('/local/')).status).toBe(400);
  });

  it('and buckets each allow their own methods', async () => {
    for (const [path, allow] of [
      ['/local/bucket/open.txt', 'GET, HEAD, PUT, OPTIONS'],
      ['/local/bucket', 'POST, OPTIONS'],
    ] as const) {
      const wrong = await client.get(path, { method: 'DELETE' });
      expect([wrong.status, wrong.headers['allow']]).toEqual([405, allow]);
      const asked = await client.get(path, { method: 'OPTIONS' });
      expect([asked.status, asked.headers['allow']]).toEqual([204, allow]);
    }
    expect((await client.get('/local/bucket', { method: 'PUT', body: 'y' })).headers['allow']).toBe('POST, OPTIONS');
  });

  it('that a browser would run are downloads', async () => {
    await client.put('page.html', '<script>alert(1)</script>', 'public-read', 'text/html');
    const { headers } = await client.get('/local/bucket/page.html');
    expect(headers['content-disposition']).toMatch(/^attachment/);
    expect(headers['content-security-policy']).toContain('sandbox');
  });
});

describe('the key of a request', () => {
  it.each(['a/b', 'a//b', 'ünï/日本', 'a%2fb', 'a+b c?d#e', '...', 'x'.repeat(1024)])('%s is read from the raw target', async (key) => {
    await client.put(key, `at ${key}`, 'public-read');
    expect((await client.get(`/local/bucket/${encodeKey(key)}`)).text).toBe(`at ${key}`);
    expect((await client.get(await client.downloadOf(key))).text).toBe(`at ${key}`);
  });

  it('may have its slashes encoded', async () => {
    await client.put('dir/file', 'found', 'public-read');
    expect((await client.get('/local/bucket/dir%2Ffile')).text).toBe('found');
  });

  it('is read from a target in absolute form, as a proxy sends it', async () => {
    await client.put('far/off', 'found', 'public-read');
    const signed = await client.downloadOf('far/off');
    for (const target of ['/local/bucket/far/off', signed])
      for (const origin of ['http://files.example', 'HTTPS://files.example:8443'])
        expect(await client.get(`${origin}${target}`)).toMatchObject({ status: 200, text: 'found' });
    expect((await client.get('http://files.example/elsewhere/local/bucket/far/off')).text).toBe('not ours');
  });

  it.each(['%2e%2e/x', '..%2fx', 'a/../b', 'a/./b', '%00', '%zz', '%c3', '%2fabsolute', '/x'])('%s is refused', async (raw) => {
    const answer = await client.get(`/local/bucket/${raw}`);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, 'invalid_key']);
  });

  it.each(['..', '%2e%2e', 'UPPER', '.tmp', 'a', 'index.db'])('the bucket %s is refused', async (bucket) => {
    const answer = await client.get(`/local/${bucket}/x`);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, 'invalid_bucket_name']);
  });

  it('and paths that are not below /local/ are left to others', async () => {
    for (const path of ['/', '/local', '/localx/bucket/x', '/api/local/bucket/x', '/Local/bucket/x']) {
      expect(await client.get(path)).toMatchObject({ status: 404, text: 'not ours' });
    }
  });
});

describe('presigned downloads', () => {
  it('say what was signed, and are kept out of shared caches', async () => {
    await client.put('report.bin', 'report', 'private', 'application/octet-stream');
    const options = { expiresIn: 60, contentDisposition: 'attachment; filename="r.txt"', contentType: 'text/plain' };
    const { url } = await served.backend.presign!.download(client.at('report.bin'), options, noContext);
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await client.get(client.targetOf(url), { method });
      expect([status, headers['content-disposition'], headers['content-type'], headers['cache-control']]).toEqual([
        200,
        'attachment; filename="r.txt"',
        'text/plain',
        'private',
      ]);
    }
  });

  it('of missing objects are 404, since whoever signed the URL knows the key', async () => {
    expect(JSON.parse((await client.get(await client.downloadOf('absent'))).text)).toMatchObject({ status: 404, code: 'file_not_found' });
  });

  it('that were tampered with are refused even where the object is public', async () => {
    await client.put('public.txt', 'x', 'public-read');
    expect((await client.get(`${await client.downloadOf('public.txt')}x`)).status).toBe(403);
  });

  it('whose client leaves half way hold no file open', async () => {
    await served.backend.put(client.at('large'), { kind: 'buffer', data: randomBytes(20_000_000) }, { contentType: 'a/b' }, noContext);
    const target = await client.downloadOf('large');
    for (let turn = 0; turn < 20; turn++) {
      await expect(
        ask(served.url, target, {
          send: (request) => request.end().on('response', (response) => response.once('data', () => request.destroy())),
        }),
      ).rejects.toThrow();
    }
    expect((await client.get(await client.downloadOf('large'), { headers: { range: 'bytes=0-9' } })).status).toBe(206);
  });
});

describe('the context of a request', () => {
  it('reaches the backend, with the tenant that was signed', async () => {
    const { backend } = served;
    const seen: CallContext[] = [];
    const watched: LocalBackend = {
      ...backend,
      get: (at, options, ctx) => {
        seen.push(ctx);
        return backend.get(at, options, ctx);
      },
      put: (at, body, options, ctx) => {
        seen.push(ctx);
        return backend.put(at, body, options, ctx);
      },
    };
    const handle = localHttpHandler({ backend: watched });
    const { signal } = new AbortController();
    const server = createServer((request, response) => void handle(request, response, { requestId: 'r-1', signal }));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ctx = { tenant: 'acme' };
    const at = client.at('counted');
    const write = await backend.presign!.upload(at, { expiresIn: 60, method: 'PUT' }, ctx);
    const form = await backend.presign!.upload(at, { expiresIn: 60 }, ctx);
    const read = await backend.presign!.download(at, { expiresIn: 60 }, ctx);
    const parts = Object.entries(form.fields).map(([name, value]) => ({ name, value }));
    const posted = {
      method: 'POST',
      headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
      body: formOf([...parts, { name: 'file', value: 'x' }]),
    };
    expect((await ask(url, client.targetOf(write.url), { method: 'PUT', body: 'x' })).status).toBe(200);
    expect((await ask(url, client.targetOf(form.url), posted)).status).toBe(204);
    expect((await ask(url, client.targetOf(read.url))).status).toBe(200);
    expect(seen).toEqual(Array.from({ length: 3 }, () => ({ requestId: 'r-1', signal, tenant: 'acme' })));
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('errors', () => {
  it('are passed to onError', async () => {
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

  it.each(['at once', 'later'])('cut the connection when onError fails %s', async (when) => {
    const onError = (): Promise<never> => {
      if (when === 'at once') throw new Error(when);
      return Promise.reject(new Error(when));
    };
    const handle = localHttpHandler({ backend: served.backend, onError });
    const handled = Promise.withResolvers<boolean>();
    const server = createServer((request, response) => void handle(request, response).then(handled.resolve, handled.reject));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [answer, isOurs] = await Promise.allSettled([ask(url, '/local/bucket/absent'), handled.promise]);
    expect([answer.status, isOurs]).toEqual(['rejected', { status: 'fulfilled', value: true }]);
    await new Promise((resolve) => server.close(resolve));
  });
});
