import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { CreateMultipartUploadCommand, HeadObjectCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import { fileBody, noContext, readAll } from '@coffer/storage-core';
import type { Body, CallContext, GetResult, ObjectAddress, StorageBackend } from '@coffer/storage-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { openS3Backend, s3Backend } from './backend.ts';
import type { S3BackendOptions } from './options.ts';
import { newStage } from './testing/lean.ts';
import { answering, refusal } from './testing/scripted.ts';
import { accountOn, ifAvailable, sdkOn, startOn } from './testing/server.ts';
import type { StartedStore } from './testing/server.ts';

const mib = 2 ** 20;
const servers = await Promise.all([ifAvailable(startS3('ceph')), ifAvailable(startS3('minio'))]);

function* cut(data: Buffer, size = 70_001): Generator<Buffer> {
  for (let start = 0; start < data.length; start += size) yield data.subarray(start, start + size);
}

const streamOf = (data: Buffer, size?: number): Extract<Body, { kind: 'stream' }> => ({
  kind: 'stream',
  stream: Readable.from(cut(data), { objectMode: false }),
  ...(size !== undefined && { size }),
});

async function bytesOf(result: GetResult): Promise<Buffer> {
  if (result.kind !== 'object') throw new Error('not modified');
  return readAll(result.body);
}

describe.each(servers.filter((server) => typeof server !== 'string'))('large objects on $name', (server) => {
  const data = randomBytes(20 * mib + 12_345);
  const options = { contentType: 'video/mp4', metadata: { my_title: 'x' } };
  const md5 = createHash('md5').update(data).digest('hex');
  const sha256 = createHash('sha256').update(data).digest('hex');
  let folder: string;
  let file: FileHandle;
  let started: StartedStore;
  let backend: StorageBackend;
  let account: S3BackendOptions;
  const at = (key: string): ObjectAddress => ({ bucket: started.bucket, key });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-uploads-'));
    await writeFile(join(folder, 'file'), data);
    file = await open(join(folder, 'file'));
    account = await accountOn(server);
    started = await startOn(account);
    backend = started.backend;
  });
  afterAll(async () => {
    await backend.close();
    await started.stop();
    await file.close();
    await rm(folder, { recursive: true });
  });

  it.each([1, 2 * mib - 2, 2 * mib, 9 * mib])('writes what fits into a part whole, at a hint of %i bytes', async (sizeHint) => {
    const small = data.subarray(0, 2 * mib);
    const sum = createHash('md5').update(small).digest('hex');
    const info = await backend.put(at(`hint-${sizeHint}`), { ...streamOf(small), sizeHint }, { ...options, md5: sum }, noContext);
    expect(info).toMatchObject({ size: small.length, etag: sum });
    expect(small.equals(await bytesOf(await backend.get(at(`hint-${sizeHint}`), {}, noContext)))).toBe(true);
  });

  it.each<[string, () => Body]>([
    ['a buffer', () => ({ kind: 'buffer', data })],
    ['a stream of known size', () => streamOf(data, data.length)],
    ['a stream of unknown size', () => streamOf(data)],
    ['a file of known size', () => ({ kind: 'stream', stream: fileBody(file), size: data.length })],
    ['a file of unknown size', () => ({ kind: 'stream', stream: fileBody(file) })],
    ['a stream whose hint is far too small', () => ({ ...streamOf(data), sizeHint: 300_000 })],
    ['a stream whose hint is right', () => ({ ...streamOf(data), sizeHint: data.length })],
    ['a stream in one chunk', () => ({ kind: 'stream', stream: Readable.from([data], { objectMode: false }) })],
  ])('writes %s by parts', async (name, body) => {
    const info = await backend.put(at(name), body(), { ...options, md5, sha256 }, noContext);
    expect(info).toMatchObject({ size: data.length, sha256, etag: expect.stringMatching(/^[0-9a-f]{32}-3$/) as string });
    const head = await backend.head(at(name), noContext);
    expect(head).toMatchObject({ size: data.length, etag: info.etag, contentType: 'video/mp4', metadata: { my_title: 'x' } });
    expect((await bytesOf(await backend.get(at(name), {}, noContext))).equals(data)).toBe(true);
    expect(await started.leftovers()).toEqual([]);
  });

  it.each([
    ['sha256', { sha256: '0'.repeat(64) }],
    ['md5', { md5: '0'.repeat(32) }],
  ])('refuses bytes that do not match their %s, and leaves nothing', async (_name, sums) => {
    for (const body of [streamOf(data), streamOf(data, data.length), { kind: 'buffer', data } as const]) {
      await expect(backend.put(at('wrong'), body, { ...options, ...sums }, noContext)).rejects.toMatchObject({ code: 'checksum_mismatch' });
    }
    await expect(backend.head(at('wrong'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await started.leftovers()).toEqual([]);
  });

  it.each([data.length - 1, data.length + 1])('refuses a large stream that was announced as %i bytes', async (size) => {
    await expect(backend.put(at('size'), streamOf(data, size), options, noContext)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await started.leftovers()).toEqual([]);
  });

  it('enforces conditions on large objects, or says that it cannot', async () => {
    await backend.put(at('taken'), { kind: 'buffer', data: Buffer.from('old') }, options, noContext);
    for (const body of [streamOf(data, data.length), { kind: 'buffer', data } as const]) {
      const refused = backend.put(at('taken'), body, { ...options, ifNoneMatch: '*' }, noContext);
      await expect(refused).rejects.toMatchObject({ code: 'precondition_failed' });
    }
    const unknown = backend.put(at('taken'), streamOf(data), { ...options, ifNoneMatch: '*' }, noContext);
    await expect(unknown).rejects.toMatchObject({ code: server.kind === 'ceph' ? 'not_supported' : 'precondition_failed' });
    expect((await bytesOf(await backend.get(at('taken'), {}, noContext))).toString()).toBe('old');
    const info = await backend.put(at('fresh'), streamOf(data, data.length), { ...options, ifNoneMatch: '*', sha256 }, noContext);
    expect((await backend.head(at('fresh'), noContext)).etag).toBe(info.etag);
    const wrong = backend.put(at('other'), streamOf(data, data.length), { ...options, ifNoneMatch: '*', md5: '0'.repeat(32) }, noContext);
    await expect(wrong).rejects.toMatchObject({ code: 'checksum_mismatch' });
    await expect(backend.head(at('other'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await started.leftovers()).toEqual([]);
  });

  it('copies by parts what is too large for one request, with all that belongs to it', async () => {
    const byParts = await openS3Backend({ ...account, copyByPartsFrom: 6 * mib });
    const { acl } = byParts;
    await byParts.put(at('source'), streamOf(data), { ...options, ...(acl && { acl: 'public-read' as const }) }, noContext);
    const info = await byParts.copy(at('source'), at('copy'), {}, noContext);
    expect(info).toMatchObject({ size: data.length, contentType: 'video/mp4', metadata: { my_title: 'x' } });
    expect(info.etag).toMatch(/-4$/);
    expect(await byParts.head(at('copy'), noContext)).toMatchObject({
      etag: info.etag,
      contentType: 'video/mp4',
      metadata: { my_title: 'x' },
    });
    expect((await bytesOf(await byParts.get(at('copy'), {}, noContext))).equals(data)).toBe(true);
    const grants = (await acl?.getObjectAcl(at('copy'), noContext))?.grants ?? [];
    expect(grants.some(({ grantee }) => grantee.uri?.endsWith('/AllUsers') === true)).toBe(acl !== undefined);
    const { etag } = await byParts.head(at('source'), noContext);
    await expect(byParts.copy(at('source'), at('copy'), { ifNoneMatch: '*' }, noContext)).rejects.toMatchObject({
      code: 'precondition_failed',
    });
    await expect(byParts.copy(at('source'), at('copy'), { ifMatch: 'x' }, noContext)).rejects.toMatchObject({
      code: 'precondition_failed',
    });
    await byParts.copy(at('source'), at('another'), { ifMatch: etag, ifNoneMatch: '*' }, noContext);
    expect(await started.leftovers()).toEqual([]);
    await byParts.close();
  });

  it('copies with a condition what it copies without one', async () => {
    const { client, close } = sdkOn(account);
    const headers = { CacheControl: 'no-store', ContentDisposition: 'inline', ContentEncoding: 'gzip', ContentLanguage: 'de' };
    await client.send(new PutObjectCommand({ Bucket: started.bucket, Key: 'page', Body: 'page', ContentType: 'text/html', ...headers }));
    const { etag } = await backend.head(at('page'), noContext);
    for (const [key, condition] of Object.entries({ fresh: { ifNoneMatch: '*' as const }, same: { ifMatch: etag }, any: {} })) {
      await backend.copy(at('page'), at(`page ${key}`), condition, noContext);
      const found = await client.send(new HeadObjectCommand({ Bucket: started.bucket, Key: `page ${key}` }));
      expect(found, key).toMatchObject({ ContentType: 'text/html', ...headers });
    }
    close();
  });

  it('copies a large object on its ETag in one request', async () => {
    const { etag } = await backend.put(at('single'), streamOf(data, data.length), options, noContext);
    const info = await backend.copy(at('single'), at('single copy'), { ifMatch: etag }, noContext);
    expect(await backend.head(at('single copy'), noContext)).toMatchObject({ etag: info.etag, size: data.length });
  });

  it('keeps many uploads at once within its memory', async () => {
    const small = s3Backend({ ...account, uploadMemory: 16 * mib });
    const names = Array.from({ length: 6 }, (_, index) => `many ${index}`);
    await Promise.all(names.map((name) => small.put(at(name), streamOf(data), options, noContext)));
    for (const name of names) expect((await bytesOf(await small.get(at(name), {}, noContext))).equals(data)).toBe(true);
    await small.close();
  });

  it('sweeps uploads that nobody ends, once they are old enough', async () => {
    const sdk = sdkOn(account);
    const address = { Bucket: started.bucket, Key: 'abandoned/日本 +' };
    const { UploadId } = await sdk.client.send(new CreateMultipartUploadCommand(address));
    await sdk.client.send(new UploadPartCommand({ ...address, UploadId, PartNumber: 1, Body: 'part' }));
    const { maintenance } = backend;
    const own = async (): Promise<readonly string[]> => [started.bucket];
    const mine = async (olderThan: number, dryRun: boolean): Promise<unknown> =>
      maintenance?.sweep({ olderThan, dryRun, among: own }, noContext);
    expect(await mine(3600, true)).toEqual({ removed: 0, bytes: 0 });
    const asked: string[] = [];
    const among = async (buckets: readonly string[]): Promise<readonly string[]> => {
      asked.push(...buckets);
      return [];
    };
    expect(await maintenance?.sweep({ olderThan: 0, among }, noContext)).toEqual({ removed: 0, bytes: 0 });
    expect(asked).toContain(started.bucket);
    expect(await mine(0, true)).toEqual({ removed: 1, bytes: 4 });
    expect(await started.leftovers()).toHaveLength(1);
    expect(await mine(0, false)).toEqual({ removed: 1, bytes: 4 });
    expect(await started.leftovers()).toEqual([]);
    sdk.close();
  });
});

describe('a sweep', () => {
  const { serve, backendTo, clear } = newStage();
  afterEach(clear);

  it('goes on to the next bucket where one lets nobody in', async () => {
    const buckets = ['closed', 'mine'].map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    const stale = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.startsWith('/closed')) return refusal(403, 'AccessDenied')(request, response);
      if (url.includes('uploadId=')) return answering('<ListPartsResult><Part><Size>4</Size></Part></ListPartsResult>')(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      if (url.startsWith('/mine')) return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
      return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
    });
    const swept = await backendTo(server).maintenance?.sweep({ olderThan: 60 }, noContext);
    expect(swept).toEqual({ removed: 1, bytes: 4 });
    expect(server.requests.at(-1)).toMatchObject({ method: 'DELETE', url: '/mine/key?uploadId=id' });
  });

  it('ends with the error of a bucket that fails, once all others are swept, and at once where the server does', async () => {
    const names = ['broken', ...Array.from({ length: 9 }, (_, index) => `mine-${index}`)];
    const buckets = names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    const stale = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
    let failing = '/broken';
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url === '/' || url.startsWith('/?')) {
        return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      if (url.startsWith(failing)) return refusal(500, 'InternalError')(request, response);
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('uploadId=')) return answering('<ListPartsResult><Part><Size>4</Size></Part></ListPartsResult>')(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
    });
    const sweep = async (): Promise<unknown> => backendTo(server).maintenance?.sweep({ olderThan: 60 }, noContext);
    const failed = { code: 'storage_unavailable', message: expect.stringContaining('"broken"'), retryable: true };
    await expect(sweep()).rejects.toMatchObject(failed);
    const aborted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url }) => url);
    expect(aborted.toSorted()).toEqual(names.slice(1).map((name) => `/${name}/key?uploadId=id`));
    failing = '/m';
    server.requests.length = 0;
    await expect(sweep()).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(server.requests.filter(({ url = '' }) => url.startsWith('/mine')).length).toBeLessThan(9);
  });

  it('names all buckets that fail, and goes on behind any number of them among others that do not', async () => {
    const names = Array.from({ length: 30 }, (_, index) => (index % 5 === 0 ? `broken-${index}` : `mine-${index}`));
    const buckets = names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join('');
    const server = await serve((request, response) => {
      const { url = '' } = request;
      if (url === '/' || url.startsWith('/?')) {
        return answering(`<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      if (url.startsWith('/broken-5/')) return refusal(400, 'InvalidArgument')(request, response);
      if (url.startsWith('/broken')) return refusal(503, 'SlowDown', { 'retry-after': '7' })(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      return answering('<ListMultipartUploadsResult></ListMultipartUploadsResult>')(request, response);
    });
    const sweep = async (bucket?: string): Promise<unknown> =>
      backendTo(server).maintenance?.sweep({ olderThan: 60, ...(bucket !== undefined && { bucket }) }, noContext);
    const failed = (await sweep().catch((error: unknown) => error)) as Error;
    const broken = names.filter((name) => name.startsWith('broken'));
    expect(broken.filter((name) => !failed.message.includes(`"${name}"`))).toEqual([]);
    expect(failed).toMatchObject({ retryable: false }); // one of them fails for good
    const swept = new Set(server.requests.map(({ url = '' }) => url.split(/[/?]/)[1]));
    expect(names.filter((name) => !swept.has(name))).toEqual([]);
    await expect(sweep('broken-0')).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true, retryAfter: 7 });
  });

  it('aborts the uploads of all others where what killed probes left does not go', async () => {
    const left = Array.from({ length: 5 }, (_, index) => `coffer-probe-0123456789abcde${index}`);
    const buckets = [...left, 'mine'].map(
      (name) => `<Bucket><Name>${name}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>`,
    );
    const stale = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url === '/' || url.startsWith('/?')) {
        return answering(`<ListAllMyBucketsResult><Buckets>${buckets.join('')}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      if (url.startsWith('/coffer-probe-')) return refusal(500, 'InternalError')(request, response);
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('uploadId=')) return answering('<ListPartsResult><Part><Size>4</Size></Part></ListPartsResult>')(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
    });
    const sweeping = backendTo(server).maintenance!.sweep({ olderThan: 60 }, noContext);
    await expect(sweeping).rejects.toMatchObject({ code: 'storage_unavailable', message: expect.stringContaining(left[0]!) });
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toContain('DELETE /mine/key?uploadId=id');
  });

  it.each<[string, (backend: StorageBackend, ctx: CallContext) => Promise<unknown>]>([
    ['a sweep', (backend, ctx) => backend.maintenance!.sweep({ olderThan: 60, bucket: 'mine' }, ctx)],
    ['the deletion of a bucket', (backend, ctx) => backend.buckets!.delete('mine', { force: true }, ctx)],
  ])('%s waits for no upload that it aborts once it is told to end', async (_what, run) => {
    const stale = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
    const stop = new AbortController();
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return stop.abort(new Error('told to end')); // and no answer
      if (url.includes('uploadId=')) return answering('<ListPartsResult><Part><Size>4</Size></Part></ListPartsResult>')(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
      return answering(`<ListMultipartUploadsResult>${stale}</ListMultipartUploadsResult>`)(request, response);
    });
    await expect(run(backendTo(server, { timeout: 90 }), { signal: stop.signal })).rejects.toThrow('told to end');
  });

  it.each(['NoSuchUpload', 'NoSuchKey'])('counts no upload that another one aborts meanwhile, and goes on: %s', async (gone) => {
    const uploads = ['gone', 'mine'].map(
      (id) => `<Upload><Key>key</Key><UploadId>${id}</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>`,
    );
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (url.includes('uploadId=gone')) return refusal(404, gone)(request, response);
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('uploadId=')) return answering('<ListPartsResult><Part><Size>4</Size></Part></ListPartsResult>')(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      return answering(`<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>`)(request, response);
    });
    const swept = await backendTo(server).maintenance?.sweep({ olderThan: 60, bucket: 'mine' }, noContext);
    expect(swept).toEqual({ removed: 1, bytes: 4 });
  });

  it.each(['lean', 'sdk'] as const)('knows by its parts how old an upload is whose server does not say (%s)', async (transport) => {
    const years: Readonly<Record<string, readonly number[]>> = { left: [2026, 2025], busy: [2026, 2999], begun: [] };
    const uploads = Object.keys(years).map((id) => `<Upload><Key>key</Key><UploadId>${id}</UploadId></Upload>`);
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('uploadId=')) {
        const parts = years[/uploadId=(\w+)/.exec(url)?.[1] ?? '']!.map(
          (year) => `<Part><Size>4</Size><LastModified>${year}-01-01T00:00:00.000Z</LastModified></Part>`,
        );
        return answering(`<ListPartsResult>${parts.join('')}</ListPartsResult>`)(request, response);
      }
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      return answering(`<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>`)(request, response);
    });
    const swept = await backendTo(server, { transport }).maintenance?.sweep({ olderThan: 0, bucket: 'mine' }, noContext);
    const aborted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url = '' }) => /uploadId=(\w+)/.exec(url)?.[1]);
    expect(aborted).toEqual(['left']);
    expect(swept).toEqual({ removed: 1, bytes: 8 });
  });

  it('removes the buckets in which processes that were killed tried out the endpoint', async () => {
    const hex = '0123456789abcdef';
    const tenants = `coffer-probe-${hex.slice(1)}1`;
    const dates = {
      [`coffer-probe-${hex}`]: '2026-01-01',
      [tenants]: '2026-01-01',
      [`coffer-probe-${hex}0`]: '2026-01-01',
      [`coffer-probe-${hex.slice(1)}0`]: '2999-01-01',
    };
    const buckets = Object.entries(dates).map(
      ([name, date]) => `<Bucket><Name>${name}</Name><CreationDate>${date}T00:00:00.000Z</CreationDate></Bucket>`,
    );
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
      if (url.includes('uploads')) return answering('<ListMultipartUploadsResult></ListMultipartUploadsResult>')(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      return answering(`<ListAllMyBucketsResult><Buckets>${buckets.join('')}</Buckets></ListAllMyBucketsResult>`)(request, response);
    });
    const among = async (listed: readonly string[]): Promise<readonly string[]> => listed.filter((name) => name === tenants);
    const sweep = async (dryRun: boolean): Promise<unknown> =>
      backendTo(server).maintenance?.sweep({ olderThan: 0, dryRun, among }, noContext);
    const deleted = (): readonly unknown[] => server.requests.filter(({ method }) => method === 'DELETE').map(({ url }) => url);
    expect(await sweep(true)).toEqual({ removed: 1, bytes: 0 });
    expect(deleted()).toEqual([]);
    expect(await sweep(false)).toEqual({ removed: 1, bytes: 0 });
    expect(deleted()).toEqual([`/coffer-probe-${hex}/`]);
    server.requests.length = 0;
    await backendTo(server).maintenance?.sweep({ olderThan: 0, bucket: 'mine' }, noContext);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET']);
    expect(server.requests.every(({ url = '' }) => /^\/mine\/?\?/.test(url))).toBe(true);
  });

  it('removes such a bucket also where no list tells of a key that was being tried out', async () => {
    const bucket = 'coffer-probe-0123456789abcdef';
    const listed = `<Bucket><Name>${bucket}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>`;
    const held = new Set([`/${bucket}/kept.versions/a`, `/${bucket}/`]);
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') {
        const [path = ''] = url.split('?');
        if (path === `/${bucket}/` && held.size > 1) return refusal(409, 'BucketNotEmpty')(request, response);
        held.delete(path);
        return response.writeHead(204).end();
      }
      if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
      if (url.includes('uploads')) return answering('<ListMultipartUploadsResult></ListMultipartUploadsResult>')(request, response);
      if (url.includes('list-type')) return answering('<ListBucketResult></ListBucketResult>')(request, response);
      return answering(`<ListAllMyBucketsResult><Buckets>${listed}</Buckets></ListAllMyBucketsResult>`)(request, response);
    });
    const among = async (): Promise<readonly string[]> => [];
    expect(await backendTo(server).maintenance?.sweep({ olderThan: 0, among }, noContext)).toEqual({ removed: 1, bytes: 0 });
    expect([...held]).toEqual([]);
  });

  it('removes what they left in a bucket that is in use', async () => {
    const [old, recent] = ['.coffer-probe-0123456789abcdef/', '.coffer-probe-123456789abcdef0/'];
    const keys = {
      [`${old}object`]: 2026,
      [`${old}x/y`]: 2026,
      [`${recent}object`]: 2026,
      [`${recent}x`]: 2999,
      '.coffer-probe-mine': 2026,
    };
    const contents = Object.entries(keys).map(
      ([key, year]) => `<Contents><Key>${key}</Key><Size>1</Size><LastModified>${year}-01-01T00:00:00.000Z</LastModified></Contents>`,
    );
    let versions = [`${old}object`, `${old}x/y`];
    const deleted: string[] = [];
    const server = await serve(async (request, response) => {
      const { method, url = '' } = request;
      if (method === 'POST') {
        deleted.push(...((await readAll(request)).toString().match(/(?<=<Key>)[^<]*/g) ?? []));
        versions = [];
        return response.end('<DeleteResult></DeleteResult>');
      }
      if (url.includes('versions')) {
        const listed = versions.map((key) => `<Version><Key>${key}</Key><VersionId>null</VersionId></Version>`);
        return answering(`<ListVersionsResult>${listed.join('')}</ListVersionsResult>`)(request, response);
      }
      if (url.includes('uploads')) return answering('<ListMultipartUploadsResult></ListMultipartUploadsResult>')(request, response);
      if (url.includes('list-type')) return answering(`<ListBucketResult>${contents.join('')}</ListBucketResult>`)(request, response);
      return answering('<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>')(request, response);
    });
    const among = async (): Promise<readonly string[]> => ['used'];
    const sweep = async (dryRun: boolean): Promise<unknown> =>
      backendTo(server).maintenance?.sweep({ olderThan: 0, dryRun, among }, noContext);
    expect(await sweep(true)).toEqual({ removed: 2, bytes: 0 });
    expect(deleted).toEqual([]);
    expect(await sweep(false)).toEqual({ removed: 2, bytes: 0 });
    expect(deleted).toEqual([`${old}object`, `${old}x/y`]);
  });

  it('removes it by name where versions are not for the credentials to see', async () => {
    const old = '.coffer-probe-0123456789abcdef/';
    const contents = ['object', 'x/y'].map(
      (name) => `<Contents><Key>${old}${name}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
    );
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'DELETE') return response.writeHead(204).end();
      if (url.includes('versions')) return refusal(403, 'AccessDenied')(request, response);
      if (url.includes('uploads')) return answering('<ListMultipartUploadsResult></ListMultipartUploadsResult>')(request, response);
      return answering(`<ListBucketResult>${contents.join('')}</ListBucketResult>`)(request, response);
    });
    const swept = await backendTo(server).maintenance?.sweep({ olderThan: 0, bucket: 'used' }, noContext);
    expect(swept).toEqual({ removed: 2, bytes: 0 });
    const deleted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url = '' }) => url.split('?')[0]);
    expect(deleted.toSorted()).toEqual([`/used/${old}object`, `/used/${old}x/y`]);
  });
});
