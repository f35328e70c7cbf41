import { createHash, randomBytes } from 'node:crypto';

import { noContext } from '@coffer/storage-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { clientOf } from '../testing/client.ts';
import type { Client } from '../testing/client.ts';
import { ask } from '../testing/request.ts';
import { leftoversIn, serve } from '../testing/storage.ts';
import type { Served } from '../testing/storage.ts';

let served: Served;
let client: Client;

beforeAll(async () => {
  served = await serve();
  client = clientOf(served);
});

afterAll(() => served.stop());

describe('presigned PUTs', () => {
  beforeEach(async () => {
    for (const key of ['up', 'bound']) await served.backend.delete(client.at(key), noContext);
  });

  it('answer 200 with the ETag', async () => {
    const answer = await client.get(await client.uploadOf('up'), {
      method: 'PUT',
      body: 'bytes',
      headers: { 'content-type': 'text/x-up' },
    });
    expect(answer).toMatchObject({ status: 200, text: '' });
    const info = await served.backend.head(client.at('up'), noContext);
    expect([`"${info.etag}"`, info.contentType]).toEqual([answer.headers.etag, 'text/x-up']);
  });

  it('take just the size that was signed', async () => {
    const target = await client.uploadOf('bound', { size: 5 });
    for (const body of ['', '1234', '123456']) {
      expect((await client.get(target, { method: 'PUT', body, headers: { 'content-length': String(body.length) } })).status).toBe(400);
      // Without an announced length, the size is only known as the bytes arrive.
      expect((await client.get(target, { method: 'PUT', body, headers: { 'transfer-encoding': 'chunked' } })).status).toBe(400);
    }
    expect(await client.isAbsent('bound')).toBe(true);
    expect((await client.get(target, { method: 'PUT', body: '12345', headers: { 'transfer-encoding': 'chunked' } })).status).toBe(200);
  });

  it('refuse a compressed or partial body', async () => {
    const target = await client.uploadOf('up');
    const put = (headers: Record<string, string>) => client.get(target, { method: 'PUT', body: 'bytes', headers });
    expect((await put({ 'content-encoding': 'gzip' })).status).toBe(415);
    expect((await put({ 'transfer-encoding': 'gzip, chunked' })).status).toBe(415);
    expect((await put({ 'content-range': 'bytes 0-4/10' })).status).toBe(400);
    expect(await client.isAbsent('up')).toBe(true);
    expect((await put({ 'content-encoding': 'identity' })).status).toBe(200);
  });

  it('verify the checksum that was sent, and refuse one that they cannot verify', async () => {
    const target = await client.uploadOf('up');
    const put = (headers: Record<string, string>) => client.get(target, { method: 'PUT', body: 'bytes', headers });
    const sum = (algorithm: string, of: string): string => createHash(algorithm).update(of).digest('base64');
    for (const [header, algorithm] of [
      ['content-md5', 'md5'],
      ['x-amz-checksum-sha256', 'sha256'],
    ] as const) {
      const refused = await put({ [header]: sum(algorithm, 'other bytes') });
      expect([refused.status, refused.text]).toEqual([422, expect.stringContaining('checksum_mismatch')]);
      expect((await put({ [header]: 'no base64 of a sum' })).status).toBe(400);
    }
    expect((await put({ 'x-amz-checksum-crc32': 'AAAAAA==' })).status).toBe(400);
    expect(await client.isAbsent('up')).toBe(true);
    expect(await leftoversIn(served.root, served.backend)).toEqual([]);
    expect((await put({ 'content-md5': sum('md5', 'bytes'), digest: `SHA-256=${sum('sha256', 'bytes')}` })).status).toBe(200);
  });

  it('cut off a body that is too long early, and tell its sender', async () => {
    const target = await client.uploadOf('bound', { size: 5 });
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
    // A sender that does not stop is cut off; one that listens gets the error.
    if (!(answer instanceof Error)) expect(answer).toMatchObject({ status: 400 });
    expect(sent).toBeLessThan(64_000_000);
    expect(await client.isAbsent('bound')).toBe(true);
    expect(await leftoversIn(served.root, served.backend)).toEqual([]);
  });

  it('take just the type that was signed', async () => {
    const target = await client.uploadOf('bound', { contentType: 'image/png' });
    for (const type of ['image/gif', 'image/png; charset=x', 'text/html', '']) {
      const headers: Record<string, string> = type === '' ? {} : { 'content-type': type };
      expect((await client.get(target, { method: 'PUT', body: 'x', headers })).status).toBe(403);
    }
    expect(await client.isAbsent('bound')).toBe(true);
    expect((await client.get(target, { method: 'PUT', body: 'x', headers: { 'content-type': 'image/png' } })).status).toBe(200);
  });

  it('store nothing of a body whose sender leaves', async () => {
    const target = await client.uploadOf('up', { size: 5_000_000 });
    const leaving = ask(served.url, target, {
      method: 'PUT',
      headers: { 'content-length': '5000000' },
      send: (request) => request.write(randomBytes(3_000_000), () => request.destroy()),
    });
    await expect(leaving).rejects.toThrow();
    await expect.poll(() => leftoversIn(served.root, served.backend)).toEqual([]);
    expect(await client.isAbsent('up')).toBe(true);
  });

  it('may be told not to overwrite', async () => {
    await client.put('up', 'old');
    const headers = { 'if-none-match': '*' };
    expect((await client.get(await client.uploadOf('up'), { method: 'PUT', body: 'new', headers })).status).toBe(412);
    expect((await client.get(await client.uploadOf('up'), { method: 'PUT', body: 'new' })).status).toBe(200);
    await served.backend.delete(client.at('up'), noContext);
    expect((await client.get(await client.uploadOf('up'), { method: 'PUT', body: 'new', headers })).status).toBe(200);
  });

  it('write only over the ETag that If-Match names, and refuse conditions of which they know nothing', async () => {
    await client.put('up', 'old');
    const { etag } = await served.backend.head(client.at('up'), noContext);
    const put = async (headers: Record<string, string>) =>
      (await client.get(await client.uploadOf('up'), { method: 'PUT', body: 'new', headers })).status;
    expect(await put({ 'if-match': '"another"' })).toBe(412);
    expect(await put({ 'if-match': `"${etag}", "another"` })).toBe(400);
    expect(await put({ 'if-none-match': '"another"' })).toBe(400);
    expect(await put({ 'if-unmodified-since': new Date().toUTCString() })).toBe(400);
    expect((await served.backend.head(client.at('up'), noContext)).etag).toBe(etag);
    expect(await put({ 'if-match': `"${etag}"` })).toBe(200);
  });

  it('into a bucket that is gone are 404', async () => {
    await served.backend.buckets!.create('gone-bucket', {}, noContext);
    const { url } = await served.backend.presign!.upload({ bucket: 'gone-bucket', key: 'x' }, { expiresIn: 60, method: 'PUT' }, noContext);
    await served.backend.buckets!.delete('gone-bucket', {}, noContext);
    expect(JSON.parse((await client.get(client.targetOf(url), { method: 'PUT', body: 'x' })).text)).toMatchObject({
      status: 404,
      code: 'no_such_bucket',
    });
  });

  it('give the object the ACL and the storage class that were signed', async () => {
    const target = await client.uploadOf('up', { acl: 'public-read', storageClass: 'STANDARD_IA' });
    expect((await client.get(target, { method: 'PUT', body: 'x' })).status).toBe(200);
    expect((await client.get('/local/bucket/up')).text).toBe('x');
    expect((await served.backend.head(client.at('up'), noContext)).storageClass).toBe('STANDARD_IA');
  });
});
