import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { CreateMultipartUploadCommand, HeadObjectCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import { bodyOf, fileBody, noContext, readAll } from '@coffer/storage-core';
import type { Body, GetResult, ObjectAddress, StorageBackend } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openS3Backend, s3Backend } from './backend.ts';
import type { S3BackendOptions } from './options.ts';
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
    ['a stream of a file', () => bodyOf(createReadStream(join(folder, 'file')))],
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

  it('copies the same headers with and without a condition', async () => {
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
