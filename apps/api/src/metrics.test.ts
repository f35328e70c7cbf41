import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';

import { Gauge, Registry } from 'prom-client';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { listen } from './listen.ts';
import { metricsServer } from './metrics.ts';
import { closeNow } from './shutdown.ts';
import { sendPresigned, uploadFile } from './testing/files.ts';
import { RawConnection } from './testing/raw-http.ts';
import { send } from './testing/send.ts';
import { onEachBackend, where } from './testing/on-each-backend.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as, globex, service } from './testing/tokens.ts';

/** Maps `name{labels sorted}` to its value. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^((?:storage|http)_\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) continue;
    const labels = [...(match[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => `${name}=${value}`).sort();
    samples.set(`${match[1]}{${labels.join(',')}}`, Number(match[3]));
  }
  return samples;
}

const problem = (code: string, headers = {}) => ({
  headers: { 'content-type': 'application/problem+json', 'x-request-id': expect.any(String), ...headers },
  json: { code, request_id: expect.any(String) },
});

onEachBackend('metrics', ({ start, bucket, abilities, label }) => {
  let api: TestApi;

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
  });
  afterAll(() => api.stop());

  const scrape = async (): Promise<Map<string, number>> => parse((await api.send('GET', '/metrics', { headers: await admin() })).text);

  it('are for administrators', async () => {
    expect(await api.send('GET', '/metrics')).toMatchObject({ status: 401 });
    for (const headers of [await as('ann', { tenant: acme }), { ...(await service()), 'x-tenant-id': 'acme' }])
      expect(await api.send('GET', '/metrics', { headers })).toMatchObject({ status: 403 });
    const { status, headers } = await api.send('GET', '/metrics', { headers: await admin() });
    expect({ status, type: headers['content-type'], cached: headers['cache-control'] }).toEqual({
      status: 200,
      type: expect.stringMatching(/^text\/plain; version=0\.0\.4/),
      cached: 'no-store',
    });
  });

  it('count what was done, for whom and how it ended', async () => {
    const ann = await as('ann', { tenant: acme });
    const root = await admin();
    const file = await uploadFile(api, ann, 'x'.repeat(1000));
    await uploadFile(api, await as('gus', { tenant: globex }), 'x'.repeat(10));
    await api.send('GET', `/api/v1/files/${file.json.id}/download`, { headers: ann });
    await api.send('GET', `/api/v1/files/${file.json.id}/download`, { headers: { ...ann, range: 'bytes=0-99' } });
    await api.send('HEAD', `/api/v1/files/${file.json.id}/download`, { headers: ann });
    await api.send('POST', `/api/v1/files/${file.json.id}/presigned-download`, { headers: ann });
    await api.send('GET', '/api/v1/storage/objects/absent', { headers: { ...root, 'x-tenant-id': 'acme' } });
    await api.send('GET', '/api/v1/storage/objects', { headers: root });
    await api.send('POST', '/api/v1/storage/copy', {
      headers: { ...root, 'x-tenant-id': 'acme' },
      json: { source: { key: file.json.storage_key }, destination: { key: 'copy' } },
    });
    await api.send('GET', '/api/v1/storage/objects/copy/acl', { headers: { ...root, 'x-tenant-id': 'acme' } });
    await api.send('DELETE', '/api/v1/storage/objects/copy', { headers: { ...root, 'x-tenant-id': 'acme' } });
    await api.send('POST', '/api/v1/storage/buckets', { headers: root, json: { name: bucket('fresh') } });
    await api.send('POST', '/api/v1/storage/buckets', { headers: root, json: { name: bucket('fresh') } });

    const acl = abilities.acl ? 'success' : 'error';
    const samples = await scrape();
    const at = (name: string, labels: string): number | undefined => samples.get(`${name}{${labels}}`);
    const ok = (operation: string, tenant: string): number | undefined =>
      at('storage_operations_total', `backend=${label},operation=${operation},status=success,tenant=${tenant}`);
    expect({
      upload: ok('upload', 'acme'),
      other: ok('upload', 'globex'),
      download: ok('download', 'acme'),
      head: ok('head', 'acme'),
      presign: ok('presign', 'acme'),
      list: ok('list', 'none'),
      copy: ok('copy', 'acme'),
      delete: ok('delete', 'acme'),
    }).toEqual({
      upload: 1,
      other: 1,
      download: 2,
      head: 1,
      presign: 1,
      list: 1,
      copy: 1,
      delete: 1,
    });
    expect(at('storage_operations_total', `backend=${label},operation=download,status=error,tenant=acme`)).toBe(1);
    expect(at('storage_errors_total', `backend=${label},operation=download,tenant=acme`)).toBe(1);
    expect(at('storage_operation_duration_seconds_count', `backend=${label},operation=download,tenant=acme`)).toBe(3);
    expect(at('storage_upload_bytes_total', `backend=${label},tenant=acme`)).toBe(1000);
    expect(at('storage_upload_bytes_total', `backend=${label},tenant=globex`)).toBe(10);
    expect(at('storage_download_bytes_total', `backend=${label},tenant=acme`)).toBe(1100);
    expect(at('storage_bucket_operations_total', 'operation=create_bucket,status=error')).toBe(1);
    expect(at('storage_operations_total', `backend=${label},operation=create_bucket,status=error,tenant=none`)).toBe(1);
    expect(at('storage_acl_operations_total', `operation=get_object_acl,status=${acl}`)).toBe(1);
    expect(at('storage_operations_total', `backend=${label},operation=get_object_acl,status=${acl},tenant=acme`)).toBe(1);
    expect(at('storage_tenant_usage_bytes', 'tenant=acme')).toBe(1000);
    expect(at('storage_tenant_usage_bytes', 'tenant=globex')).toBe(10);
  });

  where(abilities.local, () =>
    it('count what passes below /local/ too', async () => {
      await api.send('PUT', '/api/v1/storage/objects/open?acl=public-read', { headers: await admin(), body: 'x'.repeat(77) });
      const before = (await scrape()).get(`storage_download_bytes_total{backend=${label},tenant=none}`) ?? 0;
      expect((await api.send('GET', `/local/${bucket('staging-uploads')}/open`)).text).toHaveLength(77);
      expect((await scrape()).get(`storage_download_bytes_total{backend=${label},tenant=none}`)).toBe(before + 77);
    }),
  );

  where(abilities.local, () =>
    it('count presigned traffic for the tenant that it was signed for, and log it with the id of its request', async () => {
      const ann = await as('ann', { tenant: acme });
      const presigned = await api.send('POST', '/api/v1/files/presigned-upload', {
        headers: ann,
        json: { filename: 'p.txt', content_type: 'text/plain', size_bytes: 33 },
      });
      const bytes = (samples: Map<string, number>, way: string): number =>
        samples.get(`storage_${way}_bytes_total{backend=${label},tenant=acme}`) ?? 0;
      const before = await scrape();
      expect((await sendPresigned(presigned, 'x'.repeat(33), 'text/plain')).ok).toBe(true);
      await api.send('POST', `/api/v1/files/${presigned.json.file_id}/complete`, { headers: ann });
      const { json } = await api.send('POST', `/api/v1/files/${presigned.json.file_id}/presigned-download`, { headers: ann });
      const { status } = await fetch(json.download_url as string, { headers: { 'x-request-id': 'presigned-read' } });
      expect(status).toBe(200);
      const after = await scrape();
      expect(bytes(after, 'upload') - bytes(before, 'upload')).toBe(33);
      expect(bytes(after, 'download') - bytes(before, 'download')).toBeGreaterThanOrEqual(33);
      expect(api.log).toContainEqual(expect.objectContaining({ request_id: 'presigned-read', operation: 'download', tenant: 'acme' }));
    }),
  );

  it('count requests by route, method and status, whatever their path', async () => {
    const ann = await as('ann', { tenant: acme });
    const { id } = (await uploadFile(api, ann, 'x')).json;
    const routes = '/api/v1/files';
    const counted = async (method: string, status: number, route: string): Promise<number> =>
      (await scrape()).get(`http_request_duration_seconds_count{method=${method},route=${route},status_code=${status}}`) ?? 0;
    const asked: readonly [method: string, path: string, status: number, route: string][] = [
      ['GET', `${routes}/${id}/download`, 200, `${routes}/{id}/download`],
      ['HEAD', `${routes}/${id}/download`, 200, `${routes}/{id}/download`],
      ['GET', `${routes}/nope/download`, 404, `${routes}/{id}/download`],
      ['GET', `${routes}/?limit=0`, 400, routes],
      ['DELETE', routes, 405, 'none'],
      ['GET', '/chosen-by-anybody', 404, 'none'],
      ['OPTIONS', '/chosen-by-anybody', 404, 'none'],
      ['GET', '/local/acme-uploads/chosen-by-anybody', abilities.local ? 403 : 404, abilities.local ? '/local/{bucket}/{key}' : 'none'],
      ['GET', '/health/live', 200, '/health/live'],
    ];
    for (const [method, path, status, route] of asked) {
      const before = await counted(method, status, route);
      expect(await api.send(method, path, { headers: ann })).toMatchObject({ status });
      await expect.poll(() => counted(method, status, route)).toBe(before + 1);
    }
    const connection = await RawConnection.open(api.url);
    const { authorization } = ann;
    await connection.write(
      `PATCH ${routes}/${id} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n`,
    );
    await connection.continued(); // Node 22 takes a reset that comes together with data for the end of the data
    connection.socket.resetAndDestroy();
    await expect.poll(() => counted('PATCH', 499, `${routes}/{id}`)).toBe(1);

    const malformed = await RawConnection.open(api.url);
    const inChunks = `Authorization: ${authorization}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
    await malformed.write(`PATCH ${routes}/${id} HTTP/1.1\r\nHost: a\r\n${inChunks}none\r\n`);
    expect(await malformed.answer()).toMatchObject({ status: 400 });
    await expect.poll(() => counted('PATCH', 400, `${routes}/{id}`)).toBe(1);

    const { id: big } = (await uploadFile(api, ann, Buffer.alloc(20_000_000))).json;
    const sent = await counted('GET', 200, `${routes}/{id}/download`);
    const cut = await RawConnection.open(api.url);
    await cut.write(`GET ${routes}/${big}/download HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`);
    await once(cut.socket, 'data');
    cut.destroy();
    await expect.poll(() => counted('GET', 200, `${routes}/{id}/download`)).toBe(sent + 1);
    expect([...(await scrape()).keys()].filter((key) => key.includes('chosen-by-anybody'))).toEqual([]);
  });

  it('name no tenant that nobody registered', async () => {
    await api.send('GET', '/api/v1/files', { headers: { ...(await admin()), 'x-tenant-id': 'invented' } });
    await api.send('GET', '/api/v1/files', { headers: { authorization: 'Bearer x', 'x-tenant-id': 'invented' } });
    expect([...(await scrape()).keys()].filter((key) => key.includes('invented'))).toEqual([]);
  });

  it('have exactly the agreed names', async () => {
    const names = new Set([...(await scrape()).keys()].map((key) => key.split('{')[0]?.replace(/_(?:bucket|sum|count)$/, '')));
    expect([...names].sort()).toEqual([
      'http_request_duration_seconds',
      'storage_acl_operations_total',
      'storage_bucket_operations_total',
      'storage_download_bytes_total',
      'storage_errors_total',
      'storage_operation_duration_seconds',
      'storage_operations_total',
      'storage_tenant_usage_bytes',
      'storage_upload_bytes_total',
    ]);
  });

  it('are served without a token on their own listener, which serves nothing else', async () => {
    const server = metricsServer(api.registry, { error() {} });
    await listen(server, { host: '127.0.0.1', port: 0, variable: 'METRICS_PORT' });
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    expect(await send(url, 'GET', '/metrics')).toMatchObject({
      status: 200,
      headers: { 'content-type': expect.stringMatching(/^text\/plain; version=0\.0\.4/) },
      text: expect.stringContaining('storage_operations_total{'),
    });
    expect(await send(url, 'HEAD', '/metrics')).toMatchObject({ status: 200, text: '' });
    expect(await send(url, 'GET', '/metrics?x=1')).toMatchObject({ status: 200 });
    for (const path of ['/', '/api/v1/files', '/health/live', '/metrics/x'])
      expect(await send(url, 'GET', path)).toMatchObject({ status: 404, ...problem('not_found') });
    expect(await send(url, 'POST', '/metrics')).toMatchObject({ status: 405, ...problem('method_not_allowed', { allow: 'GET, HEAD' }) });
    const garbled = await RawConnection.open(url);
    await garbled.write('nonsense\r\n\r\n');
    expect(await garbled.answer()).toMatchObject({ status: 400, headers: { 'content-type': 'application/problem+json' } });
    garbled.destroy();
    const kept = await RawConnection.open(url);
    await kept.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
    await kept.answer();
    const asked = once(server, 'connection');
    const stuck = await RawConnection.open(url);
    await stuck.write('GET /met');
    const [begunHead] = (await asked) as [Socket];
    await expect.poll(() => begunHead.bytesRead).toBe(8);
    const begun = performance.now();
    await closeNow(server);
    expect(performance.now() - begun).toBeLessThan(5000); // scrapers that stay connected are not waited for
    for (const connection of [kept, stuck]) expect(await connection.closesInTime(2000)).toBe(true);
  });
});

it('that cannot be read are an error without the reason', async () => {
  const registry = new Registry();
  const collect = (): never => {
    throw new Error('top-secret');
  };
  new Gauge({ name: 'broken', help: 'Broken.', registers: [registry], collect });
  const logged: unknown[] = [];
  const server = metricsServer(registry, { error: (...line: unknown[]) => void logged.push(line) });
  await listen(server, { host: '127.0.0.1', port: 0, variable: 'METRICS_PORT' });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { text, ...answer } = await send(url, 'GET', '/metrics');
  expect(answer).toMatchObject({ status: 500, ...problem('internal_error') });
  expect(text).not.toContain('top-secret');
  expect(logged).toEqual([[{ err: expect.objectContaining({ message: 'top-secret' }), request_id: answer.json.request_id }, 'no metrics']]);
  await closeNow(server);
});
