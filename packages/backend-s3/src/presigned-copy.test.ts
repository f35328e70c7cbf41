import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { ObjectAddress, PresignedUpload } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { probeEndpoint, s3Backend } from './backend.ts';
import { transports } from './testing/fault-bench.ts';
import { behindFront, errorDocument } from './testing/front.ts';
import { accountOn, ifAvailable } from './testing/server.ts';

const servers = await Promise.all([ifAvailable(startS3('ceph')), ifAvailable(startS3('minio'))]);
const cases = servers
  .filter((server) => typeof server !== 'string')
  .flatMap((server) => transports.map((transport) => ({ server, transport, name: server.name })));

const put = async ({ url, headers }: PresignedUpload, body: string, more: Readonly<Record<string, string>> = {}): Promise<number> =>
  (await fetch(url, { method: 'PUT', headers: { ...headers, ...more }, body })).status;

describe.each(cases)('a presigned PUT on $name ($transport)', ({ server, transport }) => {
  it('with a content type cannot copy an object of another bucket instead of taking bytes', async () => {
    const backend = s3Backend({ ...(await accountOn(server)), transport });
    const buckets = [0, 1].map(() => `presigned-${randomBytes(6).toString('hex')}`);
    const [theirs, mine] = buckets.map((bucket) => ({ bucket, key: 'object' })) as [ObjectAddress, ObjectAddress];
    for (const bucket of buckets) await backend.buckets?.create(bucket, {}, noContext);
    await backend.put(theirs, { kind: 'buffer', data: Buffer.from('secret') }, { contentType: 'text/plain' }, noContext);
    const upload = await backend.presign!.upload(mine, { method: 'PUT', expiresIn: 60, size: 6, contentType: 'text/plain' }, noContext);
    for (const source of [`/${theirs.bucket}/${theirs.key}`, `${theirs.bucket}/${theirs.key}`])
      expect(await put(upload, 'inputs', { 'x-amz-copy-source': source })).toBeGreaterThanOrEqual(400);
    await expect(backend.head(mine, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await put(upload, 'inputs')).toBe(200);
    for (const bucket of buckets) await backend.buckets?.delete(bucket, { force: true }, noContext);
    await backend.close();
  });

  it('without a size cannot copy a part of an object either', async () => {
    const backend = s3Backend({ ...(await accountOn(server)), transport });
    const buckets = [0, 1].map(() => `presigned-${randomBytes(6).toString('hex')}`);
    const [theirs, mine] = buckets.map((bucket) => ({ bucket, key: 'object' })) as [ObjectAddress, ObjectAddress];
    for (const bucket of buckets) await backend.buckets?.create(bucket, {}, noContext);
    await backend.put(theirs, { kind: 'buffer', data: Buffer.from('secret') }, { contentType: 'text/plain' }, noContext);
    const upload = await backend.presign!.upload(mine, { method: 'PUT', expiresIn: 60, storageClass: 'STANDARD' }, noContext);
    const copied = { 'x-amz-copy-source': `/${theirs.bucket}/${theirs.key}` };
    expect(await put(upload, '', { ...copied, 'x-amz-copy-source-range': 'bytes=0-5' })).toBeGreaterThanOrEqual(400);
    expect(await put(upload, '', copied)).toBeGreaterThanOrEqual(400);
    await expect(backend.head(mine, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await put(upload, '')).toBe(200);
    for (const bucket of buckets) await backend.buckets?.delete(bucket, { force: true }, noContext);
    await backend.close();
  });

  it('cannot copy an object either if the credentials may not probe', async () => {
    const front = await behindFront(server, (method, path) =>
      method === 'PUT' && path.includes('coffer-probe') ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
    );
    const backend = s3Backend({ ...front, transport });
    const bucket = `presigned-${randomBytes(6).toString('hex')}`;
    await backend.buckets?.create(bucket, {}, noContext);
    await backend.put({ bucket, key: 'theirs' }, { kind: 'buffer', data: Buffer.from('secret') }, { contentType: 'text/plain' }, noContext);
    const upload = await backend.presign!.upload({ bucket, key: 'mine' }, { expiresIn: 60, size: 6, contentType: 'text/plain' }, noContext);
    expect(upload.method).toBe('PUT');
    expect(await put(upload, 'inputs', { 'x-amz-copy-source': `/${bucket}/theirs` })).toBeGreaterThanOrEqual(400);
    expect(await put(upload, 'inputs')).toBe(200);
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await backend.close();
  });

  it('is probed for copies: guarded, bound or open', async () => {
    const isCopy = (path: string, headers: Readonly<Record<string, unknown>>): boolean =>
      path.includes('X-Amz-Signature') && headers['x-amz-copy-source'] !== undefined;
    const account = await accountOn(server);
    expect(await probeEndpoint({ ...account, transport })).toMatchObject({ presignedPuts: 'guarded' });
    const refusing = await behindFront(server, (_method, path, headers) =>
      isCopy(path, headers) ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
    );
    expect(await probeEndpoint({ ...refusing, transport })).toMatchObject({ presignedPuts: 'bound' });
    const open = await behindFront(server, (_method, path, headers) => (isCopy(path, headers) ? { status: 200, body: '' } : undefined));
    expect(await probeEndpoint({ ...open, transport })).toMatchObject({ presignedPuts: 'open' });
  });
});
