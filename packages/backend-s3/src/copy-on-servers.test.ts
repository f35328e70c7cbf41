import { randomBytes, randomUUID } from 'node:crypto';

import { PutObjectCommand } from '@aws-sdk/client-s3';
import { kmsKey, startS3 } from '@coffer/fixtures';
import { noContext, readAll } from '@coffer/storage-core';
import type { Acl, ObjectAddress } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { s3Backend } from './backend.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { faultBench, transports } from './testing/fault-bench.ts';
import { behindFront, errorDocument } from './testing/front.ts';
import { newStage } from './testing/lean.ts';
import { ok, refusal } from './testing/scripted.ts';
import { accountOn, ifAvailable, sdkOn, startOn } from './testing/server.ts';

const mib = 2 ** 20;
const ceph = await startS3('ceph');

const { serve, open, clear } = newStage();
afterEach(clear);

describe.each(transports)('a copy on a server that has ACLs (%s)', (transport) => {
  const bench = faultBench(transport);

  it('keeps grants that no canned ACL matches', async () => {
    const [from, to] = [bench.at('from'), bench.at('to')];
    const backend = bench.through({}, { profile: awsProfile });
    await backend.put(from, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    const grantsOf = async (at: ObjectAddress): Promise<Acl['grants']> => (await backend.acl!.getObjectAcl(at, noContext)).grants;
    const { owner, grants: own } = await backend.acl!.getObjectAcl(from, noContext);
    const everybody = { type: 'Group', uri: 'http://acs.amazonaws.com/groups/global/AllUsers' } as const;
    const odd = { grantee: everybody, permission: 'READ_ACP' } as const;
    const store = openStore(bench.account);
    open.push(() => store.connection.close());
    await store.administration.putObjectAcl(from, { owner, grants: [...own, odd] }, noContext);
    await backend.copy(from, to, {}, noContext);
    expect(await grantsOf(to)).toContainEqual(odd);
    expect(await grantsOf(to)).toEqual(await grantsOf(from));
  });
});

it.each(transports)('a copy of an object of another account is of who made it, and keeps the grants of others (%s)', async (transport) => {
  const accounts = await Promise.all([accountOn(ceph), accountOn(ceph)]);
  const [theirs, mine] = [await startOn(accounts[0]), await startOn({ ...accounts[1], transport })];
  const store = openStore(accounts[0]);
  onTestFinished(async () => {
    store.connection.close();
    for (const { backend, stop } of [theirs, mine]) {
      await backend.close?.();
      await stop();
    }
  });
  const [from, to] = [theirs, mine].map(({ bucket }) => ({ bucket, key: 'x' })) as [ObjectAddress, ObjectAddress];
  await theirs.backend.put(from, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
  const { owner, grants: own } = await store.transport.getAcl(from, noContext);
  const me = (await mine.backend.acl!.getBucketAcl(to.bucket, noContext)).owner;
  const other = { id: (await accountOn(ceph)).accessKey!, displayName: '' }; // the users of the fixture are named as their keys
  const grant = ({ id }: Acl['owner'], permission: 'READ' | 'READ_ACP' | 'FULL_CONTROL') =>
    ({ grantee: { type: 'CanonicalUser', id }, permission }) as const;
  const grants = [...own, grant(me, 'FULL_CONTROL'), grant(me, 'READ'), grant(me, 'READ_ACP'), grant(other, 'READ')];
  await store.administration.putObjectAcl(from, { owner, grants }, noContext);
  await mine.backend.copy(from, to, {}, noContext);
  const copied = await mine.backend.acl!.getObjectAcl(to, noContext);
  expect(copied.owner).toEqual(me);
  const held = copied.grants.map(({ grantee: { id }, permission }) => `${id} ${permission}`);
  expect(held.toSorted()).toEqual([`${me.id} FULL_CONTROL`, `${me.id} READ`, `${me.id} READ_ACP`, `${other.id} READ`].toSorted());
});

describe.each(transports)('a copy of an object that other clients have written (%s)', (transport) => {
  const bench = faultBench(transport);

  it.each([
    ['in one request', 'onward', {}, {}],
    ['by parts', 'onward', { copyByPartsFrom: 5 * mib }, {}],
    ['through here', 'onward', {}, { ifMatch: 'da6a0d097e307ac52ed9b4ad551801fc' }],
    ['onto itself', 'from', {}, { acl: 'public-read' as const }],
    ['onto itself in one request', 'from', { partSize: 5 * mib }, { acl: 'public-read' as const }],
  ])('keeps its tags and Expires: %s', async (_how, key, settings, options) => {
    const store = openStore(bench.account);
    open.push(() => store.connection.close());
    const at = bench.at('from');
    const tags = [
      { name: 'größe', value: 'a+b <&> c' },
      { name: 'x', value: '' },
    ];
    const carried = { expires: 'Wed, 21 Oct 2026 07:28:00 GMT' };
    const size = 6 * mib;
    await store.transport.put(at, { kind: 'buffer', data: Buffer.alloc(size) }, { contentType: 'text/plain', ...carried }, noContext);
    await store.administration.putTags(at, tags, noContext);
    const profile = { ...awsProfile, copySourceCondition: false, putMatch: 'bare' } as const; // like Ceph
    await bench.through(settings, { profile }).copy(at, bench.at(key), options, noContext);
    const told = await store.transport.head(bench.at(key), noContext);
    expect(told).toMatchObject({ contentLength: size, tagCount: 2, carried: { expires: carried.expires } });
    expect(await store.administration.getTags(bench.at(key), noContext)).toEqual(expect.arrayContaining(tags));
  });
});

it.each(transports)('a copy of an object that has a version id tries nothing out (%s)', async (transport) => {
  const paths: string[] = [];
  const account = await behindFront(ceph, (_method, path) => void paths.push(path));
  const { backend, bucket, stop } = await startOn({ ...account, transport });
  onTestFinished(stop);
  await backend.versioning!.setVersioning(bucket, true, noContext);
  const [from, to] = ['from', 'to'].map((key) => ({ bucket, key })) as [ObjectAddress, ObjectAddress];
  await backend.put(from, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
  await backend.close?.();
  paths.length = 0;
  // Knows nothing yet, like that of each command.
  const other = s3Backend({ ...account, transport });
  expect(await other.copy(from, to, {}, noContext)).toMatchObject({ size: 1 });
  await other.close();
  expect(paths.filter((path) => path.startsWith('/coffer-probe-'))).toEqual([]);
});

const bytesOf = (text: string): string => Buffer.from(text).toString('latin1'); // in a header, each character stands for a byte

describe.each(transports)('a copy of an object with odd headers (%s)', (transport) => {
  const bench = faultBench(transport);

  it.each([
    ['in one request', 'onward', {}, {}],
    ['by parts', 'onward', { copyByPartsFrom: 5 * mib }, {}],
    ['onto itself', 'from', {}, {}],
    ['through here', 'from', {}, { copySourceCondition: false, putMatch: 'bare' as const }],
  ])('has them just as they are: %s', async (_how, key, settings, profile) => {
    const store = openStore(bench.account);
    open.push(() => store.connection.close());
    const at = bench.at('from');
    const metadata = { umlaut: bytesOf('größe →'), encoded: '=?UTF-8?Q?gr=C3=B6=C3=9Fe?=' };
    const carried = { contentDisposition: bytesOf('attachment; filename="é→.txt"'), websiteRedirect: bytesOf('/größe'), expires: '0' };
    const data = Buffer.alloc(6 * mib);
    await store.transport.put(at, { kind: 'buffer', data }, { contentType: 'text/plain', metadata, ...carried }, noContext);
    await bench.through(settings, { profile: { ...awsProfile, ...profile } }).copy(at, bench.at(key), {}, noContext);
    expect(await store.transport.head(bench.at(key), noContext)).toMatchObject({ metadata, carried });
  });
});

describe.skipIf(ceph.external).each(transports)(
  'a copy of an encrypted object, which this server does not make itself (%s)',
  (transport) => {
    const bench = faultBench(transport);

    it.each([
      ['small', 1000, {}, false],
      ['of parts', 11 * mib, {}, false],
      ['onto itself', 11 * mib, {}, true],
      ['under a condition', 11 * mib, { onlyIf: () => true }, false],
      ['only if absent', 11 * mib, { ifNoneMatch: '*' as const }, false],
    ])('has its bytes, and all that describes it: %s', async (how, size, options, ontoItself) => {
      const { client, close } = sdkOn(bench.account);
      open.push(close);
      const from = bench.at(`from ${how}`);
      const to = ontoItself ? from : bench.at(`to ${how}`);
      const data = randomBytes(size);
      const encryption = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKey.name } as const;
      const described = { ContentType: 'text/x-own', Metadata: { by: 'us' }, Tagging: 'a=b' };
      await client.send(new PutObjectCommand({ Bucket: from.bucket, Key: from.key, Body: data, ...described, ...encryption }));
      const info = await bench.through({ partSize: 5 * mib }).copy(from, to, options, noContext);
      const copied = await bench.direct.get(to, {}, noContext);
      if (copied.kind !== 'object') throw new Error('not modified');
      expect(data.equals(await readAll(copied.body))).toBe(true);
      expect(copied.info).toMatchObject({ etag: info.etag, contentType: 'text/x-own', metadata: { by: 'us' } });
      const store = openStore(bench.account);
      open.push(() => store.connection.close());
      expect(await store.administration.getTags(to, noContext)).toEqual([{ name: 'a', value: 'b' }]);
    });
  },
);

describe.each(transports)('a copy from a bucket that the credentials may only read (%s)', (transport) => {
  const copied = async (acls: RegExp, status: number, code: string): Promise<unknown> => {
    const started: { from?: string } = {};
    const account = await behindFront(await startS3('ceph'), (method, path) => {
      if (path.startsWith('/coffer-probe-')) return { status: 403, body: errorDocument('AccessDenied') };
      if (acls.test(path)) return { status, body: errorDocument(code) };
      const isWritten = method !== 'GET' && method !== 'HEAD' && started.from !== undefined && path.startsWith(`/${started.from}/`);
      return isWritten ? { status: 403, body: errorDocument('AccessDenied') } : undefined;
    });
    const [backend, from, to] = [s3Backend({ ...account, transport }), ...['from', 'to'].map((name) => `${name}-${randomUUID()}`)] as const;
    onTestFinished(async () => {
      delete started.from;
      for (const bucket of [from!, to!]) await backend.buckets?.delete(bucket, { force: true }, noContext);
      await backend.close?.();
    });
    for (const bucket of [from!, to!]) await backend.buckets?.create(bucket, {}, noContext);
    await backend.put({ bucket: from!, key: 'x' }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    started.from = from!;
    return backend.copy({ bucket: from!, key: 'x' }, { bucket: to!, key: 'x' }, {}, noContext);
  };

  it('is made where the server has no ACLs', async () => {
    expect(await copied(/\?acl/, 501, 'NotImplemented')).toMatchObject({ key: 'x', size: 1 });
  });

  it('names the permission to write where they may write nowhere, whether the server has ACLs or not', async () => {
    const server = await serve((request, response) => (request.method === 'HEAD' ? ok : refusal(403, 'AccessDenied'))(request, response));
    const backend = s3Backend({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', transport });
    onTestFinished(() => backend.close());
    const copying = backend.copy({ bucket: 'from', key: 'x' }, { bucket: 'to', key: 'x' }, {}, noContext);
    await expect(copying).rejects.toMatchObject({ code: 'access_denied', message: expect.stringMatching(/permission s3:PutObject\.$/) });
  });

  it('names the permission that is missing where they may not see its ACL, and the copies that do without', async () => {
    const message =
      'The storage provider refused; the credentials may lack the permission s3:GetObjectAcl. A copy made with the ACL "private" does not need it.';
    await expect(copied(/^\/from-.*\?acl/, 403, 'AccessDenied')).rejects.toMatchObject({ code: 'access_denied', message });
  });
});

it.each(transports)(
  'a copy on Ceph survives its source also if the credentials may not ask whether versions were kept (%s)',
  async (transport) => {
    const account = await behindFront(await startS3('ceph'), (method, path) =>
      method === 'GET' && /\?versioning/.test(path) ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
    );
    const { backend, bucket, stop } = await startOn({ ...account, transport });
    onTestFinished(async () => {
      await backend.close?.();
      await stop();
    });
    const [from, to] = ['from', 'to'].map((key) => ({ bucket, key })) as [ObjectAddress, ObjectAddress];
    for (const [isKept, data] of [
      [true, 'a version'],
      [false, 'the latest'],
    ] as const) {
      await backend.versioning?.setVersioning(bucket, isKept, noContext);
      await backend.put(from, { kind: 'buffer', data: Buffer.from(data) }, { contentType: 'text/plain' }, noContext);
    }
    await backend.copy(from, to, {}, noContext);
    await backend.delete(from, noContext);
    const copy = await backend.get(to, {}, noContext);
    expect(copy.kind === 'object' && String(await readAll(copy.body))).toBe('the latest');
  },
);

const minio = await ifAvailable(startS3('minio'));

describe.skipIf(typeof minio === 'string').each(transports)('a copy on MinIO (%s)', (transport) => {
  it('keeps its tags and Expires', async () => {
    if (typeof minio === 'string') throw new Error(minio);
    const account = await accountOn(minio);
    const { backend, bucket, stop } = await startOn({ ...account, transport });
    const store = openStore(account);
    onTestFinished(async () => {
      store.connection.close();
      await backend.close?.();
      await stop();
    });
    const at = { bucket, key: 'from' };
    const expires = 'Wed, 21 Oct 2026 07:28:00 GMT';
    const described = { contentType: 'text/plain', metadata: { a: 'b' }, expires, cacheControl: 'no-cache' };
    await store.transport.put(at, { kind: 'buffer', data: Buffer.from('x') }, described, noContext);
    await store.administration.putTags(at, [{ name: 'x', value: 'y' }], noContext);
    for (const [key, options] of [
      ['plain', {}],
      ['tied', { ifMatch: (await store.transport.head(at, noContext)).etag }],
    ] as const) {
      await backend.copy(at, { bucket, key }, options, noContext);
      const { expires: _expires, cacheControl: _cacheControl, ...own } = described;
      const carried = { expires, cacheControl: 'no-cache' };
      expect(await store.transport.head({ bucket, key }, noContext)).toMatchObject({ ...own, tagCount: 1, carried });
    }
  });

  it('is one of several at once under If-None-Match, also where the credentials may not ask whether versions are kept', async () => {
    if (typeof minio === 'string') throw new Error(minio);
    const { backend: owner, bucket, stop } = await startOn({ ...(await accountOn(minio)), transport });
    const account = await behindFront(minio, (method, path) => {
      const isNewBucket = method === 'PUT' && /^\/coffer-probe-[^/]+\/?$/.test(path);
      return isNewBucket || path.includes('?versioning') ? { status: 403, body: errorDocument('AccessDenied') } : undefined;
    });
    const backend = s3Backend({ ...account, transport });
    onTestFinished(async () => {
      for (const opened of [backend, owner]) await opened.close?.();
      await stop();
    });
    const [from, to] = [
      { bucket, key: 'from' },
      { bucket, key: 'to' },
    ];
    await backend.put(from, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    const copies = await Promise.allSettled(Array.from({ length: 6 }, () => backend.copy(from, to, { ifNoneMatch: '*' }, noContext)));
    expect(copies.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('is made by the server also if the credentials may not create a bucket, and only read that of the source', async () => {
    if (typeof minio === 'string') throw new Error(minio);
    const own = await accountOn(minio);
    const [source, destination] = [await startOn({ ...own, transport }), await startOn({ ...own, transport })];
    const from = { bucket: source.bucket, key: 'from' };
    await source.backend.put(from, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    const reads: string[] = [];
    const account = await behindFront(minio, (method, path) => {
      if (method === 'GET' && path.startsWith(`/${from.bucket}/from`) && !path.includes('?acl')) reads.push(path);
      const isWritten = method !== 'GET' && method !== 'HEAD' && !path.startsWith(`/${destination.bucket}/`);
      return isWritten || path.includes('?versioning') ? { status: 403, body: errorDocument('AccessDenied') } : undefined;
    });
    const backend = s3Backend({ ...account, transport });
    onTestFinished(async () => {
      await backend.close();
      for (const { backend: opened, stop } of [source, destination]) {
        await opened.close();
        await stop();
      }
    });
    const to = { bucket: destination.bucket, key: 'to' };
    for (const options of [{}, { onlyIf: () => true }]) await backend.copy(from, to, options, noContext);
    expect(reads).toEqual([]);
  });
});

it.each(transports)('a copy of an object onto itself adds a version on Ceph, which accepts no condition there (%s)', async (transport) => {
  const { backend, bucket, stop } = await startOn({ ...(await accountOn(await startS3('ceph'))), transport });
  onTestFinished(async () => {
    await backend.close?.();
    await stop();
  });
  const at = { bucket, key: 'x' };
  await backend.versioning?.setVersioning(bucket, true, noContext);
  const { etag } = await backend.put(at, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/css' }, noContext);
  for (const options of [{}, { ifMatch: etag }]) expect(await backend.copy(at, at, options, noContext)).toMatchObject({ etag });
  expect(await backend.head(at, noContext)).toMatchObject({ etag, contentType: 'text/css' });
  await expect(backend.copy(at, at, { ifMatch: 'other' }, noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
});

it('a copy carries headers that others have written in UTF-8', async () => {
  const account = await accountOn(await startS3('ceph'));
  const { backend, bucket, stop } = await startOn(account);
  const { transport, connection } = openStore(account);
  onTestFinished(async () => {
    connection.close();
    await backend.close();
    await stop();
  });
  const at = { bucket, key: 'named' };
  const contentDisposition = bytesOf('attachment; filename="é→.txt"');
  await transport.put(
    at,
    { kind: 'buffer', data: Buffer.from('x') },
    { contentType: 'text/plain', metadata: {}, contentDisposition },
    noContext,
  );
  const { etag } = await transport.head(at, noContext);
  for (const [to, options] of [
    [at, { acl: 'public-read' }],
    [{ bucket, key: 'through this process' }, { ifMatch: etag }],
  ] as const) {
    await backend.copy(at, to, options, noContext);
    expect(await transport.head(to, noContext)).toMatchObject({ carried: { contentDisposition } });
  }
});
