import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { openS3Backend, s3Backend } from './backend.ts';
import { transports } from './testing/fault-bench.ts';
import { behindFront, errorDocument } from './testing/front.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';
import { ifAvailable } from './testing/server.ts';
import type { TestServer } from './testing/server.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

it.each(transports)('an ACL that a server with ACLs does not know is an invalid argument (%s)', async (transport) => {
  const server = await serve((request, response) => {
    if (request.method === 'PUT') return refusal(501, 'NotImplemented')(request, response);
    if (request.url?.startsWith('/new') === true) return refusal(404, '')(request, response);
    if (request.url?.includes('acl') === true) return answering('<AccessControlPolicy></AccessControlPolicy>')(request, response);
    return ok(request, response);
  });
  const { put, copy, acl, buckets } = backendTo(server, { transport });
  const [at, body, contentType] = [{ bucket: 'bucket', key: 'x' }, { kind: 'buffer', data: Buffer.from('x') }, 'text/plain'] as const;
  const unknown = { code: 'invalid_argument', message: 'The storage provider does not know the ACL "aws-exec-read".' };
  await expect(put(at, body, { contentType, acl: 'aws-exec-read' }, noContext)).rejects.toMatchObject(unknown);
  await expect(copy(at, { ...at, key: 'y' }, { acl: 'aws-exec-read' }, noContext)).rejects.toMatchObject(unknown);
  await expect(acl?.setObjectAcl(at, 'aws-exec-read', noContext)).rejects.toMatchObject(unknown);
  await expect(acl?.setBucketAcl('bucket', 'aws-exec-read', noContext)).rejects.toMatchObject(unknown);
  await expect(buckets?.create('new', { acl: 'aws-exec-read' }, noContext)).rejects.toMatchObject(unknown);
  await expect(put(at, body, { contentType, acl: 'public-read' }, noContext)).rejects.toMatchObject({ code: 'not_supported' });
  await expect(put(at, body, { contentType }, noContext)).rejects.toMatchObject({ code: 'not_supported' });
});

describe.each(transports)('ACLs with credentials that may write, but set no ACL (%s)', (transport) => {
  const missing = (name: string) => ({ code: 'access_denied', message: expect.stringContaining(name) as string });
  const body = { kind: 'buffer', data: Buffer.from('x') } as const;
  const contentType = 'text/plain';

  it.each([
    ['from the start', true, s3Backend],
    ['as has been probed', true, openS3Backend],
    ['later', false, s3Backend],
  ])('are refused with the name of the missing permission: denied %s', async (_when, isFirst, open) => {
    let isDenied = isFirst;
    const account = await behindFront(await startS3('ceph'), (method, path, headers) => {
      const setsAcl = headers['x-amz-acl'] !== undefined || (method === 'PUT' && path.includes('?acl'));
      return isDenied && setsAcl ? { status: 403, body: errorDocument('AccessDenied') } : undefined;
    });
    const backend = await open({ ...account, transport });
    const at = { bucket: `acl-${randomBytes(6).toString('hex')}`, key: 'x' };
    onTestFinished(async () => {
      await backend.buckets?.delete(at.bucket, { force: true }, noContext);
      await backend.close();
    });
    await backend.buckets?.create(at.bucket, {}, noContext);
    await backend.put(at, body, { contentType }, noContext);
    if (!isFirst) await backend.put(at, body, { contentType, acl: 'public-read' }, noContext);
    isDenied = true;
    const published = { contentType, acl: 'public-read' } as const;
    await expect(backend.acl?.setObjectAcl(at, 'public-read', noContext)).rejects.toMatchObject(missing('s3:PutObjectAcl'));
    await expect(backend.put(at, body, published, noContext)).rejects.toMatchObject(missing('s3:PutObjectAcl'));
    await expect(backend.copy(at, { ...at, key: 'y' }, { acl: published.acl }, noContext)).rejects.toMatchObject(
      missing('s3:PutObjectAcl'),
    );
    expect(await backend.acl?.getObjectAcl(at, noContext)).toMatchObject({ owner: { id: expect.any(String) as string } });
    expect(await backend.put(at, body, { contentType, acl: 'private' }, noContext)).toMatchObject({ size: 1 });
  });

  it('are not lost by a copy without a word', async () => {
    const server = await startS3('ceph');
    let cannotRead = false;
    const account = await behindFront(server, (method, path, headers) => {
      const setsAcl = headers['x-amz-acl'] !== undefined || (method === 'PUT' && path.includes('?acl'));
      const readsAcl = method === 'GET' && path.includes('?acl') && !path.startsWith('/coffer-probe-');
      return setsAcl || (cannotRead && readsAcl) ? { status: 403, body: errorDocument('AccessDenied') } : undefined;
    });
    const [owner, backend] = [s3Backend({ ...account, endpoint: server.endpoint, transport }), s3Backend({ ...account, transport })];
    const at = { bucket: `acl-${randomBytes(6).toString('hex')}`, key: 'x' };
    const to = { ...at, key: 'y' };
    onTestFinished(async () => {
      await owner.buckets?.delete(at.bucket, { force: true }, noContext);
      await Promise.all([owner.close?.(), backend.close?.()]);
    });
    await owner.buckets?.create(at.bucket, {}, noContext);
    await owner.put(at, body, { contentType }, noContext);
    expect(await backend.copy(at, to, {}, noContext)).toMatchObject({ size: 1 });
    await owner.put(at, body, { contentType, acl: 'public-read' }, noContext);
    const refusal = missing('s3:PutObjectAcl. A copy made with the ACL "private" does not need it');
    await expect(backend.copy(at, to, {}, noContext)).rejects.toMatchObject(refusal);
    cannotRead = true;
    await expect(backend.copy(at, to, {}, noContext)).rejects.toMatchObject(missing('s3:GetObjectAcl'));
    expect(await backend.copy(at, to, { acl: 'private' }, noContext)).toMatchObject({ size: 1 });
  });
});

describe.each(transports)('ACLs with credentials that may set, but read no ACL (%s)', (transport) => {
  it('take effect, and are not lost by a copy without a word', async () => {
    const account = await behindFront(await startS3('ceph'), (method, path) =>
      method === 'GET' && path.includes('?acl') ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
    );
    const backend = await openS3Backend({ ...account, transport });
    const at = { bucket: `acl-${randomBytes(6).toString('hex')}`, key: 'x' };
    onTestFinished(async () => {
      await backend.buckets?.delete(at.bucket, { force: true }, noContext);
      await backend.close();
    });
    await backend.buckets?.create(at.bucket, {}, noContext);
    const body = { kind: 'buffer', data: Buffer.from('x') } as const;
    await backend.put(at, body, { contentType: 'text/plain', acl: 'public-read' }, noContext);
    expect((await fetch(`${account.endpoint}/${at.bucket}/${at.key}`)).status).toBe(200);
    const missing = { code: 'access_denied', message: expect.stringContaining('s3:GetObjectAcl') as string };
    await expect(backend.copy(at, { ...at, key: 'y' }, {}, noContext)).rejects.toMatchObject(missing);
    await expect(backend.acl!.getObjectAcl(at, noContext)).rejects.toMatchObject(missing);
    // They are told of the change by reading it: what is refused has not been done.
    await expect(backend.acl!.setObjectAcl(at, 'private', noContext)).rejects.toMatchObject(missing);
    expect((await fetch(`${account.endpoint}/${at.bucket}/${at.key}`)).status).toBe(200);
    const ofBucket = { code: 'access_denied', message: expect.stringContaining('s3:GetBucketAcl') as string };
    await expect(backend.acl!.setBucketAcl(at.bucket, 'public-read', noContext)).rejects.toMatchObject(ofBucket);
    expect((await fetch(`${account.endpoint}/${at.bucket}`)).status).toBe(403);
  });
});

describe.each(transports)('ACLs read with credentials that may only read (%s)', (transport) => {
  const readOnly = async (server: TestServer, isDenied = (_path: string): boolean => false) => {
    let isReadOnly = false;
    const account = await behindFront(server, (method, path) => {
      const isRefused = isReadOnly && (isDenied(path) || (method !== 'GET' && method !== 'HEAD'));
      return isRefused ? { status: 403, body: errorDocument('AccessDenied') } : undefined;
    });
    const backend = s3Backend({ ...account, transport });
    const at = { bucket: `acl-${randomBytes(6).toString('hex')}`, key: 'x' };
    onTestFinished(async () => {
      isReadOnly = false;
      await backend.buckets?.delete(at.bucket, { force: true }, noContext);
      await backend.close();
    });
    await backend.buckets?.create(at.bucket, {}, noContext);
    await backend.put(at, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    isReadOnly = true;
    return { ...at, acl: backend.acl! };
  };

  it('are returned', async () => {
    const { acl, ...at } = await readOnly(await startS3('ceph'));
    expect(await acl.getObjectAcl(at, noContext)).toMatchObject({ grants: [{ permission: 'FULL_CONTROL' }] });
    expect(await acl.getBucketAcl(at.bucket, noContext)).toMatchObject({ grants: [{ permission: 'FULL_CONTROL' }] });
  });

  it('are refused with the name of the missing permission', async () => {
    const { acl, ...at } = await readOnly(await startS3('ceph'), (path) => path.includes('?acl'));
    const missing = (name: string) => ({ code: 'access_denied', message: expect.stringContaining(`permission ${name}.`) as string });
    await expect(acl.getObjectAcl(at, noContext)).rejects.toMatchObject(missing('s3:GetObjectAcl'));
    await expect(acl.getBucketAcl(at.bucket, noContext)).rejects.toMatchObject(missing('s3:GetBucketAcl'));
  });

  it('are not supported on a server without ACLs, which reports an ACL without an owner', async ({ skip }) => {
    const minio = await ifAvailable(startS3('minio'));
    if (typeof minio === 'string') return skip(minio);
    const { acl, ...at } = await readOnly(minio);
    await expect(acl.getObjectAcl(at, noContext)).rejects.toMatchObject({ code: 'acl_not_supported' });
    await expect(acl.getBucketAcl(at.bucket, noContext)).rejects.toMatchObject({ code: 'acl_not_supported' });
  });
});
