import { afterAll, beforeAll, expect, it } from 'vitest';

import { uploadFile } from '../../testing/files.ts';
import { onEachBackend } from '../../testing/on-each-backend.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { acme, as, globex } from '../../testing/tokens.ts';

interface File {
  readonly id: string;
  readonly etag: string;
}

onEachBackend('a download of a file', ({ start, abilities }) => {
  let api: TestApi;
  let ann: { authorization: string };
  const get = (
    file: File,
    options: { readonly method?: string; readonly query?: string; readonly headers?: Record<string, string> } = {},
  ) =>
    api.send(options.method ?? 'GET', `/api/v1/files/${file.id}/download${options.query ?? ''}`, {
      headers: { ...ann, ...options.headers },
    });

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    ann = await as('ann', { tenant: acme });
  });
  afterAll(() => api.stop());

  it.each([
    ['report.pdf', 'application/pdf', 'inline; filename="report.pdf"'],
    ['Größe "x".txt', 'text/plain', `inline; filename="Gr__e _x_.txt"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%22x%22.txt`],
    ['日本😀.png', 'image/png', `inline; filename="___.png"; filename*=UTF-8''%E6%97%A5%E6%9C%AC%F0%9F%98%80.png`],
    ['page.html', 'text/html', 'attachment; filename="page.html"'],
    ['image.svg', 'image/svg+xml', 'attachment; filename="image.svg"'],
  ])('called %s goes under its name', async (name, type, disposition) => {
    const { json: file } = await uploadFile(api, ann, '', { name, type });
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await get(file, { method });
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'content-type': type,
        'content-disposition': disposition,
        'x-content-type-options': 'nosniff',
        etag: `"${file.etag}"`,
        'content-length': '0',
      });
    }
  });

  it('is saved rather than shown where that is asked for, and never shown where it would run', async () => {
    const expected = { 'text/plain': ['inline', 'inline', 'attachment'], 'text/html': ['attachment', 'attachment', 'attachment'] };
    for (const [type, kinds] of Object.entries(expected)) {
      const { json: file } = await uploadFile(api, ann, '', { name: 'Größe.txt', type, fields: { is_public: 'true' } });
      const name = `; filename="Gr__e.txt"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt`;
      for (const [index, disposition] of [undefined, 'inline', 'attachment'].entries()) {
        const query = disposition === undefined ? '' : `disposition=${disposition}`;
        const wanted = `${kinds[index]}${name}`;
        const tell = async (url: string): Promise<string | null> => (await fetch(url)).headers.get('content-disposition');
        for (const method of ['GET', 'HEAD']) {
          for (const path of [`/api/v1/files/${file.id}/download?${query}`, `/api/v1/public/files/${file.id}?${query}`]) {
            expect((await api.send(method, path, { headers: ann })).headers['content-disposition']).toBe(wanted);
          }
        }
        const redirected = await api.send('GET', `/api/v1/files/${file.id}/download?redirect=true&${query}`, { headers: ann });
        expect(await tell(redirected.headers['location']!)).toBe(wanted);
        const asked = { headers: ann, json: { disposition } };
        const { json: link } = await api.send('POST', `/api/v1/files/${file.id}/presigned-download`, asked);
        expect(await tell(link.download_url)).toBe(wanted);
      }
      for (const [method, path, json] of [
        ['GET', 'download?disposition=saved', undefined],
        ['POST', 'presigned-download', { disposition: 'saved' }],
      ] as const) {
        const answer = await api.send(method, `/api/v1/files/${file.id}/${path}`, { headers: ann, ...(json !== undefined && { json }) });
        expect(answer).toMatchObject({ status: 400, json: { code: 'validation_failed', errors: [{ field: 'disposition' }] } });
      }
    }
  });

  it('goes under its new name to whoever holds a copy from before it was renamed', async () => {
    const { json: file } = await uploadFile(api, ann, 'hello', { name: 'old.txt', type: 'text/plain', fields: { is_public: 'true' } });
    await api.send('PATCH', `/api/v1/files/${file.id}`, { headers: ann, json: { filename: 'new.txt' } });
    for (const method of ['GET', 'HEAD']) {
      for (const path of [`/api/v1/files/${file.id}/download`, `/api/v1/public/files/${file.id}`]) {
        const { status, headers } = await api.send(method, path, { headers: { ...ann, 'if-none-match': `"${file.etag}"` } });
        expect([status, headers['content-disposition']]).toEqual([304, 'inline; filename="new.txt"']);
      }
    }
  });

  it('is never served by a cache to another reader, or after it was deleted', async () => {
    const { json: file } = await uploadFile(api, ann, 'hello', { fields: { is_public: 'true' } });
    const held = { 'if-none-match': `"${file.etag}"` };
    for (const method of ['GET', 'HEAD']) {
      for (const headers of [{}, { ...held }]) {
        expect((await get(file, { method, headers })).headers['cache-control']).toBe('private, no-cache');
        const open = await api.send(method, `/api/v1/public/files/${file.id}`, { headers });
        expect(open.headers['cache-control']).toBe('no-cache');
      }
    }
    for (const path of ['/api/v1/files', `/api/v1/files/${file.id}`])
      expect((await api.send('GET', path, { headers: ann })).headers['cache-control']).toBe('no-store');
  });

  it('follows a change of the name', async () => {
    const { json: file } = await uploadFile(api, ann);
    await api.send('PATCH', `/api/v1/files/${file.id}`, { headers: ann, json: { filename: 'b.txt' } });
    expect((await get(file)).headers['content-disposition']).toBe('inline; filename="b.txt"');
  });

  it('has ranges and conditions', async () => {
    const { json: file } = await uploadFile(api, ann, '0123456789');
    const etag = `"${file.etag}"`;
    expect(await get(file, { headers: { range: 'bytes=2-4' } })).toMatchObject({
      status: 206,
      text: '234',
      headers: { 'content-range': 'bytes 2-4/10', 'content-disposition': 'inline; filename="a.txt"' },
    });
    const head = { method: 'HEAD', headers: { range: 'bytes=2-4' } };
    expect(await get(file, head)).toMatchObject({
      status: 206,
      text: '',
      headers: { 'content-length': '3', 'content-range': 'bytes 2-4/10' },
    });
    expect(await get(file, { headers: { range: 'bytes=10-' } })).toMatchObject({
      status: 416,
      headers: { 'content-range': 'bytes */10' },
      json: { code: 'range_not_satisfiable' },
    });
    expect(await get(file, { headers: { 'if-none-match': etag } })).toMatchObject({ status: 304, text: '' });
    expect(await get(file, { method: 'HEAD', headers: { 'if-none-match': etag } })).toMatchObject({ status: 304 });
    expect(await get(file, { headers: { 'if-match': '"x"' } })).toMatchObject({ status: 412, json: { code: 'precondition_failed' } });
    expect(await get(file, { headers: { range: 'bytes=0-0', 'if-range': '"x"' } })).toMatchObject({ status: 200, text: '0123456789' });
  });

  it('is handed over by link with the longest name shortened to what a file system allows', async () => {
    const { json: file } = await uploadFile(api, ann, 'hello', { name: `${'日'.repeat(1020)}.txt`, type: 'text/plain' });
    const { headers } = await get(file, { query: '?redirect=true' });
    expect(headers.location?.length).toBeLessThan(6000);
    const answer = await fetch(headers.location ?? '');
    expect(await answer.text()).toBe('hello');
    expect(answer.headers.get('content-disposition')).toContain(`*=UTF-8''${encodeURIComponent('日'.repeat(251))}.txt`);
  });

  it('is handed over by a redirect or a link, which need no token', async () => {
    const { json: file } = await uploadFile(api, ann, 'hello', { name: 'Größe.html', type: 'text/html' });
    expect((await get(file, { query: '?redirect=True' })).status).toBe(302); // as Python spells it
    const redirect = await get(file, { query: '?redirect=true' });
    expect(redirect).toMatchObject({ status: 302, text: '', headers: { 'cache-control': 'no-store' } });
    const link = await api.send('POST', `/api/v1/files/${file.id}/presigned-download`, { headers: ann, json: { expires_in: 60 } });
    expect(link).toMatchObject({ status: 200, json: { download_url: expect.any(String), expires_in: 60 } });
    for (const url of [redirect.headers.location ?? '', link.json.download_url as string]) {
      const answer = await fetch(url);
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe('hello');
      expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="Gr__e.html"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.html`);
      expect(answer.headers.get('content-type')).toBe('text/html');
      if (abilities.local) expect(answer.headers.get('x-content-type-options')).toBe('nosniff'); // no provider lets a URL request it
      expect((await fetch(url, { headers: { range: 'bytes=1-2' } })).status).toBe(206);
      expect((await fetch(`${url}x`)).status).toBe(403);
      expect((await fetch(url, { method: 'PUT', body: 'HELLO' })).status).toBe(403);
    }
    const { status, headers } = await api.send('HEAD', `/api/v1/files/${file.id}/download?redirect=true`, { headers: ann });
    expect(status).toBe(302);
    const head = await fetch(headers.location ?? '', { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '5']);
    expect(await get(file, { query: '?redirect=false' })).toMatchObject({ status: 200, text: 'hello' });
    for (const query of ['?redirect=', '?redirect=yes', '?redirect=true&redirect=true'])
      expect(await get(file, { query })).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
  });

  it('is handed over for as long as is asked, within limits', async () => {
    const { json: file } = await uploadFile(api, ann);
    const ask = (options: Parameters<TestApi['send']>[2]) =>
      api.send('POST', `/api/v1/files/${file.id}/presigned-download`, {
        headers: { ...ann, ...options?.headers },
        ...(options?.json !== undefined && { json: options.json }),
        ...(options?.body !== undefined && { body: options.body }),
      });
    expect((await ask({})).json).toMatchObject({ expires_in: 3600 });
    expect((await ask({ json: {} })).json).toMatchObject({ expires_in: 3600 });
    expect((await ask({ json: { expires_in: 10_000_000 } })).json).toMatchObject({ expires_in: 604_800 });
    for (const expires_in of [0, -1, 1.5, '60', 1e300])
      expect(await ask({ json: { expires_in } })).toMatchObject({
        status: 400,
        json: { code: 'validation_failed', errors: [{ field: 'expires_in' }] },
      });
    expect(await ask({ body: '{}', headers: { 'content-type': 'text/plain' } })).toMatchObject({ status: 415 });
    const { json } = await ask({ json: { expires_in: 1 } });
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await fetch(json.download_url)).status).toBe(403);
  });

  it('of a public file needs no token on the public route, and nothing else is there', async () => {
    const { json: open } = await uploadFile(api, ann, 'open', { fields: { is_public: 'true' } });
    const { json: closed } = await uploadFile(api, ann, 'closed');
    const path = (file: File): string => `/api/v1/public/files/${file.id}`;
    for (const headers of [{}, { authorization: 'Bearer nonsense' }, await as('gus', { tenant: globex }), { 'x-tenant-id': 'whoever' }]) {
      expect(await api.send('GET', path(open), { headers })).toMatchObject({
        status: 200,
        text: 'open',
        headers: { 'content-disposition': 'inline; filename="a.txt"' },
      });
      expect(await api.send('GET', path(closed), { headers })).toMatchObject({ status: 404, json: { code: 'file_not_found' } });
    }
    expect(await api.send('HEAD', path(open))).toMatchObject({ status: 200, text: '', headers: { 'content-length': '4' } });
    expect(await api.send('GET', path(open), { headers: { range: 'bytes=1-1' } })).toMatchObject({ status: 206, text: 'p' });
    expect(await api.send('GET', path(open), { headers: { 'if-none-match': `"${open.etag}"` } })).toMatchObject({ status: 304 });
    await api.send('PATCH', `/api/v1/files/${open.id}`, { headers: ann, json: { is_public: false } });
    expect(await api.send('GET', path(open))).toMatchObject({ status: 404 });
  });
});
