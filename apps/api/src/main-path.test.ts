import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { onEachBackend } from './testing/on-each-backend.ts';
import type { ApiOnBackend } from './testing/on-each-backend.ts';
import { acme, admin, as, globex } from './testing/tokens.ts';

interface Record_ {
  id: string;
  bucket: string;
  storage_key: string;
  sha256: string | null;
  size_bytes: number;
  tenant_uuid: string;
  status: string;
}

onEachBackend('the main path', ({ start, bucket, abilities }) => {
  let api: ApiOnBackend;
  const bytes = randomBytes(100 * 1024 * 1024);
  const sha256 = createHash('sha256').update(bytes).digest('hex');

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
  });
  afterAll(() => api.stop());

  const upload = async (headers: Record<string, string>, body: Uint8Array<ArrayBuffer>, name = 'report.bin') => {
    const form = new FormData();
    form.set('file', new Blob([body]), name);
    return fetch(`${api.url}/api/v1/files/upload`, { method: 'POST', headers, body: form });
  };

  it('takes 100 MiB from a tenant to the storage and back, tracked in PostgreSQL', async () => {
    const headers = await as('ann', { tenant: acme });
    const created = await upload(headers, bytes);
    expect(created.status).toBe(201);
    const file = (await created.json()) as Record_;
    expect(file).toMatchObject({
      size_bytes: bytes.length,
      sha256: abilities.hashes ? sha256 : null,
      bucket: bucket('acme-uploads'),
      tenant_uuid: acme.uuid,
      status: 'available',
    });

    const sql = postgres(api.databaseUrl, { max: 1 });
    expect(await sql`select filename, size_bytes::int from files where id = ${file.id}`).toMatchObject([
      { filename: 'report.bin', size_bytes: bytes.length },
    ]);
    await sql.end();
    expect(await api.stored()).toHaveLength(1);

    const listed = (await (await fetch(`${api.url}/api/v1/files`, { headers })).json()) as { files: Record_[] };
    expect(listed.files.map(({ id }) => id)).toEqual([file.id]);

    const download = await fetch(`${api.url}/api/v1/files/${file.id}/download`, { headers });
    expect(download.status).toBe(200);
    expect(download.headers.get('content-disposition')).toBe('inline; filename="report.bin"');
    const hash = createHash('sha256');
    for await (const chunk of download.body!) hash.update(chunk);
    expect(hash.digest('hex')).toBe(sha256);

    const object = await fetch(`${api.url}/api/v1/storage/objects/${file.storage_key}?bucket=${file.bucket}`, { headers: await admin() });
    expect(
      createHash('sha256')
        .update(await object.bytes())
        .digest('hex'),
    ).toBe(sha256);

    expect((await fetch(`${api.url}/api/v1/files/${file.id}`, { method: 'DELETE', headers })).status).toBe(204);
    for (const path of ['', '/download']) expect((await fetch(`${api.url}/api/v1/files/${file.id}${path}`, { headers })).status).toBe(404);
    expect(await api.stored()).toEqual([]);
  }, 120_000);

  it('carries the same bytes through the object routes as admin', async () => {
    const headers = await admin();
    const url = `${api.url}/api/v1/storage/objects/deep/ly/nested%20%C3%BC.bin?bucket=${bucket('raw-bytes')}`;
    const made = await fetch(`${api.url}/api/v1/storage/buckets`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ name: bucket('raw-bytes') }),
    });
    expect(made.status).toBe(201);
    const put = await fetch(url, { method: 'PUT', headers, body: bytes });
    expect(put.status).toBe(201);
    expect(await put.json()).toMatchObject({ bucket: bucket('raw-bytes'), key: 'deep/ly/nested ü.bin', size_bytes: bytes.length });
    const got = await fetch(url, { headers });
    expect(
      createHash('sha256')
        .update(await got.bytes())
        .digest('hex'),
    ).toBe(sha256);
    expect((await fetch(url, { method: 'DELETE', headers })).status).toBe(204);
    expect((await fetch(url, { headers })).status).toBe(404);
  }, 120_000);

  it('shows a second tenant nothing', async () => {
    const ann = await as('ann', { tenant: acme });
    const file = (await (await upload(ann, Buffer.from('secret plans'))).json()) as Record_;
    const gus = await as('gus', { tenant: globex });
    const listed = (await (await fetch(`${api.url}/api/v1/files`, { headers: gus })).json()) as { files: Record_[] };
    expect(listed.files).toEqual([]);
    for (const path of ['', '/download']) {
      const answer = await fetch(`${api.url}/api/v1/files/${file.id}${path}`, { headers: gus });
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ code: 'file_not_found' });
    }
    expect((await fetch(`${api.url}/api/v1/files/${file.id}`, { method: 'DELETE', headers: gus })).status).toBe(404);
    expect((await fetch(`${api.url}/api/v1/files/${file.id}`, { headers: { ...gus, 'x-tenant-id': 'acme' } })).status).toBe(403);
    expect((await fetch(`${api.url}/api/v1/files/${file.id}`, { headers: ann })).status).toBe(200);
  });

  it('refuses a forged token', async () => {
    const { authorization } = await as('ann', { tenant: acme, roles: ['admin'] });
    const forged = `${authorization.slice(0, -2)}${authorization.endsWith('AA') ? 'BB' : 'AA'}`;
    const answer = await fetch(`${api.url}/api/v1/storage/buckets`, { headers: { authorization: forged } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.json()).toMatchObject({ code: 'unauthorized', status: 401 });
  });

  it.each(['a/../../b', '%2e%2e/secret', 'a%2F..%2Fb', '%00', '%0a', '%E0%A4%A', '%2Fabsolute', '%ED%A0%80'])(
    'refuses the hostile key %s',
    async (raw) => {
      const headers = await admin();
      for (const method of ['PUT', 'GET', 'DELETE']) {
        const answer = await rawRequest(`${api.url}`, method, `/api/v1/storage/objects/${raw}?bucket=${bucket('raw-bytes')}`, headers);
        expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_key' } });
      }
    },
  );

  it('leaves nothing of a truncated upload', async () => {
    const before = await api.stored();
    const headers = await as('cut', { tenant: globex });
    const boundary = 'cut-short';
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="cut.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`;
    const begun = request(`${api.url}/api/v1/files/upload`, {
      method: 'POST',
      headers: { ...headers, 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': 10_000_000 },
    });
    begun.on('error', () => {});
    begun.write(head);
    begun.write(randomBytes(3_000_000));
    await delay(300);
    begun.destroy();

    const sql = postgres(api.databaseUrl, { max: 1 });
    for (let tries = 0; tries < 50; tries++) {
      if ((await sql`select 1 from files where owner_id = 'cut'`).length === 0) break;
      await delay(100);
    }
    expect(await sql`select * from files where owner_id = 'cut'`).toHaveLength(0);
    await sql.end();
    const listed = (await (await fetch(`${api.url}/api/v1/files`, { headers })).json()) as { files: Record_[] };
    expect(listed.files).toEqual([]);
    await expect.poll(() => api.stored()).toEqual(before);
  });
});

/** Sends the target unchanged: fetch would collapse dot segments. */
function rawRequest(
  base: string,
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; body: unknown }> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) as unknown }),
      );
    });
    sent.on('error', reject);
    sent.end(method === 'PUT' ? 'x' : undefined);
  });
}
