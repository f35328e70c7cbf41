import { randomBytes } from 'node:crypto';

import { startFront, startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { describe, expect, it, onTestFinished } from 'vitest';

import { probeEndpoint, s3Backend } from '../backend.ts';
import { openStore } from '../open-store.ts';
import { awsProfile } from '../profile.ts';
import { transports } from '../testing/fault-bench.ts';
import { behindFront, errorDocument } from '../testing/front.ts';
import { rewritten } from '../testing/rewriting-front.ts';
import { accountOn, ifAvailable } from '../testing/server.ts';

const ceph = await startS3('ceph');
const minio = await ifAvailable(startS3('minio'));

it.each(['lean', 'sdk'] as const)('does not take just any refusal for that of a condition (%s)', async (transport) => {
  const isUpload = (method: string, path: string): boolean => method === 'POST' && path.includes('completed?uploads');
  const denied = await behindFront(ceph, (method, path) =>
    isUpload(method, path) ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
  );
  expect(await probeEndpoint({ ...denied, transport })).toMatchObject({ conditionalPut: true, conditionalComplete: false });
  let isGone = false;
  const gone = await behindFront(ceph, (method, path) => {
    isGone ||= isUpload(method, path);
    return isGone ? { status: 404, body: errorDocument('NoSuchBucket') } : undefined;
  });
  await expect(probeEndpoint({ ...gone, transport })).rejects.toMatchObject({ code: 'no_such_bucket' });
});

// As Backblaze B2 does.
it.each(transports)('does not take a server that refuses every condition of a write for one that enforces them (%s)', async (transport) => {
  const conditions = ['if-none-match', 'if-match', 'x-amz-copy-source-if-match'];
  const options = await behindFront(ceph, (method, _path, headers) =>
    method.startsWith('P') && conditions.some((name) => name in headers)
      ? { status: 501, body: errorDocument('NotImplemented') }
      : undefined,
  );
  const none = { conditionalPut: false, putMatch: false, conditionalComplete: false, conditionalCopy: false, copySourceCondition: false };
  expect(await probeEndpoint({ ...options, transport })).toMatchObject({ ...none, acl: true });
});

it.each(transports)('takes buckets that always keep versions, like those of Backblaze, for what they are (%s)', async (transport) => {
  const kept = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
  const options = await behindFront(ceph, (method, path) => {
    if (!path.includes('?versioning')) return undefined;
    return method === 'GET' ? { status: 200, body: kept } : { status: 501, body: errorDocument('NotImplemented') };
  });
  expect(await probeEndpoint({ ...options, transport })).toMatchObject({ versioning: true, lifecycle: true });
});

// Of Ceph, zones other than the master take it back for a moment, until they have heard from the master.
it.each(transports)('does not try the conditions of versions where none is kept, whatever the server says (%s)', async (transport) => {
  let isSet = false;
  const options = await behindFront(ceph, (method, path) => {
    if (!path.includes('?versioning')) return undefined;
    isSet ||= method === 'PUT';
    const status = isSet ? '<Status>Enabled</Status>' : '';
    return { status: 200, body: method === 'PUT' ? '' : `<VersioningConfiguration>${status}</VersioningConfiguration>` };
  });
  const found = { conditionalPut: true, versioning: true, conditionalPutOfVersions: undefined };
  expect(await probeEndpoint({ ...options, transport })).toMatchObject(found);
});

it('has removed all but one object by the time that versions are kept', async () => {
  const left: string[] = [];
  let areKept = false;
  const options = await behindFront(ceph, (method, path) => {
    if (method === 'PUT' && path.includes('?versioning')) areKept = true;
    if (method === 'DELETE' && areKept && /^\/[^/]+\/[^?]/.test(path)) left.push(path.replace(/^\/[^/]+|\?.*/g, ''));
    return undefined;
  });
  expect(await probeEndpoint(options)).toMatchObject({ versioning: true, keepsFullBuckets: true });
  expect(left).toEqual(['/object']);
});

it.each(transports)('learns how many parts an upload may have (%s)', async (transport) => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'PUT' && /partNumber=\d{4}/.test(path) ? { status: 400, body: errorDocument('InvalidArgument') } : undefined,
  );
  expect(await probeEndpoint({ ...options, transport })).toMatchObject({ maxParts: 1000, acl: true });
  expect(await probeEndpoint({ ...(await accountOn(ceph)), transport })).toMatchObject({ maxParts: 10_000 });
});

it.each(transports)('does not take missing permissions for missing features (%s)', async (transport) => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'PUT' && /\?(?:cors|versioning)/.test(path) ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
  );
  const unknown = { cors: undefined, versioning: undefined, conditionalPutOfVersions: undefined };
  expect(await probeEndpoint({ ...options, transport })).toMatchObject({ ...unknown, lifecycle: true });
});

it('takes an error page instead of a rule for missing support of the rule', async () => {
  const options = await behindFront(ceph, (_method, path) =>
    /\?(?:cors|lifecycle)/.test(path) ? { status: 404, body: '404 page not found\n' } : undefined,
  );
  const profile = await probeEndpoint(options);
  expect(profile).toMatchObject({ acl: true, conditionalPut: true, versioning: true, cors: false, lifecycle: false, abortRule: false });
});

describe('credentials that may make no bucket to try things out', () => {
  const denied = errorDocument('AccessDenied');

  it('learn nothing about versions from a server that always fails to tell whether it keeps them', async () => {
    const options = await behindFront(ceph, (method, path) => {
      if (method === 'PUT' && path.startsWith('/coffer-probe-')) return { status: 403, body: denied };
      return method === 'GET' && path.includes('?versioning') ? { status: 503, body: errorDocument('ServiceUnavailable') } : undefined;
    });
    const backend = s3Backend(options);
    onTestFinished(() => backend.close());
    const bucket = `probe-${randomBytes(6).toString('hex')}`;
    await backend.buckets?.create(bucket, {}, noContext);
    const found = await probeEndpoint({ ...options, maxRetries: 0 }, bucket);
    expect(found).toMatchObject({ conditionalPut: true, conditionalPutOfVersions: undefined });
    await backend.buckets?.delete(bucket, { force: true }, noContext);
  });

  const servers = [ceph, minio].filter((server) => typeof server !== 'string').map((server) => ({ server, name: server.name }));
  const cases = servers.flatMap((each) => transports.map((transport) => ({ ...each, transport })));

  it.each(cases)(
    'learn nothing about rules, and leave nothing in a bucket with versions ($name, $transport)',
    async ({ server, transport }) => {
      const account = await behindFront(server, (method, path) =>
        method === 'PUT' && path.startsWith('/coffer-probe-') ? { status: 403, body: denied } : undefined,
      );
      const [backend, store] = [s3Backend(account), openStore(account)];
      const bucket = `probe-${randomBytes(6).toString('hex')}`;
      await backend.buckets?.create(bucket, {}, noContext);
      await backend.versioning?.setVersioning(bucket, true, noContext);
      const kept = { bucket, key: 'kept' };
      await backend.put(kept, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
      const unknown = { versioning: undefined, lifecycle: undefined, abortRule: undefined, cors: undefined };
      expect(await probeEndpoint({ ...account, transport }, bucket)).toMatchObject(unknown);
      expect((await store.administration.listVersions(bucket, noContext)).map(({ key }) => key)).toEqual([kept.key]);
      await backend.buckets?.delete(bucket, { force: true }, noContext);
      store.connection.close();
      await backend.close();
    },
  );
});

it.each([
  ['whether it verifies checksums', /\/sum-md5/],
  ['whether its buckets have rules for browsers', /\?cors/],
  ['whether it keeps a key', /\/back%5Cslash/],
  ['for a bucket to try things out in', /^\/coffer-probe-[0-9a-f]+\/?$/],
])('learns nothing from a server that is too busy to tell %s, and cleans up after the last write', async (_what, asked) => {
  let isClosing = false;
  const late: string[] = [];
  const busy = await behindFront(ceph, (method, path) => {
    isClosing ||= method === 'DELETE' && /\/object(?:\?|$)/.test(path);
    if (isClosing && method === 'PUT') late.push(path);
    return method === 'PUT' && asked.test(path) ? { status: 503, body: errorDocument('ServiceUnavailable') } : undefined;
  });
  await expect(probeEndpoint({ ...busy, maxRetries: 0 })).rejects.toMatchObject({ code: 'storage_unavailable' });
  expect(late).toEqual([]);
});

describe.each(transports)('reports the region of buckets, and which checksums of bodies the server verifies (%s)', (transport) => {
  it.for([
    ['Ceph', ceph, ['md5']],
    ['MinIO', minio, ['md5', 'crc32', 'sha256']],
  ] as const)('%s', async ([, server, sums], { skip }) => {
    if (typeof server === 'string') return skip(server);
    const profile = await probeEndpoint({ ...(await accountOn(server)), transport });
    expect(profile.region).toMatch(/^[a-z0-9-]+$/);
    expect(profile.verifiedSums).toEqual(expect.arrayContaining([...sums])); // Ceph verifies more from version 20 on
  });
});

describe.each(transports)('reports whether a server accepts unsigned writes (%s)', (transport) => {
  it.each([
    ['answers 401', { status: 401, body: '' }],
    ['answers 403', { status: 403, body: errorDocument('AccessDenied') }],
    ['redirects', { status: 307, body: '', headers: { location: 'http://127.0.0.1:1/' } }],
    ['answers 503', { status: 503, body: '' }],
    ['closes the connection', 'loseAnswer'],
  ] as const)('no proxy does that %s to requests that nobody signs', async (_what, answer) => {
    const options = await behindFront(ceph, (method, path, { authorization }) =>
      method === 'PUT' && authorization === undefined && !path.includes('X-Amz-Signature=') ? answer : undefined,
    );
    const found = await probeEndpoint({ ...options, transport, maxRetries: 0 });
    expect(found).toMatchObject({ checksSignatures: true, acl: true, conditionalPut: true });
  });

  it('Ceph does not, unless it checks the signatures of only some bodies, or of none, or only of requests that have one', async () => {
    expect(await probeEndpoint({ ...(await accountOn(ceph)), transport })).toMatchObject({ checksSignatures: true });
    const forged = (path: string): boolean => /X-Amz-Signature=0{64}/.test(path);
    for (const isTaken of [
      (path: string, _sum: string | undefined, isSigned: boolean) => !isSigned && !path.includes('X-Amz-Signature='),
      (path: string, sum: string | undefined) => forged(path) && sum === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      (path: string, sum: string | undefined) => forged(path) && sum === 'UNSIGNED-PAYLOAD',
    ]) {
      const options = await behindFront(ceph, (method, path, { 'x-amz-content-sha256': sum, authorization }) =>
        method === 'PUT' && isTaken(path, sum as string | undefined, authorization !== undefined) ? { status: 200, body: '' } : undefined,
      );
      expect(await probeEndpoint({ ...options, transport })).toMatchObject({ checksSignatures: false });
    }
  });

  // A server that the environment names may have the fix.
  it.skipIf(typeof minio === 'string' || minio.external)('MinIO does', async () => {
    if (typeof minio === 'string') throw new Error(minio);
    expect(await probeEndpoint({ ...(await accountOn(minio)), transport })).toMatchObject({ checksSignatures: false });
  });
});

it.each(transports)('takes no server that refuses every copy under If-None-Match for one that enforces it (%s)', async (transport) => {
  const options = await behindFront(ceph, (method, _path, headers) =>
    method === 'PUT' && headers['x-amz-copy-source'] !== undefined && headers['if-none-match'] !== undefined
      ? { status: 412, body: errorDocument('PreconditionFailed') }
      : undefined,
  );
  expect(await probeEndpoint({ ...options, transport })).toMatchObject({ conditionalPut: true, conditionalCopy: false });
});

// As LocalStack does.
it.each(transports)(
  'takes no server that overwrites the object for which it refuses a copy for one that enforces If-None-Match (%s)',
  async (transport) => {
    for (const isOverwritten of [false, true]) {
      const account = await rewritten(ceph, (request) => {
        if (request.method === 'GET' && isOverwritten) request.key = request.key.replace('object-taken', 'object');
      });
      const front = await startFront(account.endpoint, (_method, path, headers) =>
        path.includes('object-taken') && 'x-amz-copy-source' in headers
          ? { status: 412, body: errorDocument('PreconditionFailed') }
          : undefined,
      );
      onTestFinished(() => front.stop());
      const options = { ...account, endpoint: front.endpoint };
      expect(await probeEndpoint({ ...options, transport })).toMatchObject({ conditionalCopy: !isOverwritten });
    }
  },
);

it.each(transports)('protects a bucket with objects from deletion on a server that would delete it (%s)', async (transport) => {
  const deleted: string[] = [];
  const options = await behindFront(ceph, (method, path) => {
    const [, bucket] = /^\/([^/?]+)\/?$/.exec(path) ?? [];
    if (method !== 'DELETE' || bucket === undefined) return undefined;
    deleted.push(bucket);
    return { status: 204, body: '' };
  });
  expect(await probeEndpoint({ ...options, transport })).toMatchObject({ keepsFullBuckets: false });
  const backend = s3Backend({ ...options, transport });
  onTestFinished(() => backend.close());
  const bucket = `probe-${randomBytes(6).toString('hex')}`;
  await backend.buckets?.create(bucket, {}, noContext);
  await backend.put({ bucket, key: 'kept' }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
  await expect(backend.buckets?.delete(bucket, {}, noContext)).rejects.toMatchObject({ code: 'bucket_not_empty' });
  expect(deleted).not.toContain(bucket);
});

it.each(transports)(
  'protects a bucket with objects from deletion if it could not be probed whether the server would delete it (%s)',
  async (transport) => {
    const options = await behindFront(ceph, (method, path) =>
      method === 'DELETE' && /^\/[^/?]+\/?$/.test(path) ? { status: 204, body: '' } : undefined,
    );
    const backend = s3Backend({ ...options, transport }, { ...awsProfile, keepsFullBuckets: undefined });
    onTestFinished(() => backend.close());
    const bucket = `probe-${randomBytes(6).toString('hex')}`;
    await backend.buckets?.create(bucket, {}, noContext);
    await backend.put({ bucket, key: 'kept' }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    await expect(backend.buckets?.delete(bucket, {}, noContext)).rejects.toMatchObject({ code: 'bucket_not_empty' });
  },
);

it('takes no server that refuses the header of a sum for one that compares it', async () => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'PUT' && path.includes('/sum-crc32') ? { status: 501, body: errorDocument('NotImplemented') } : undefined,
  );
  expect(await probeEndpoint(options)).toMatchObject({ verifiedSums: ['md5'] });
});

it('reports no region if the credentials may not ask for it', async () => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'HEAD' && /^\/coffer-probe-[0-9a-f]+\/?$/.test(path) ? { status: 403, body: '' } : undefined,
  );
  expect(await probeEndpoint(options)).toMatchObject({ region: undefined, acl: true });
});

it.each(transports)('makes metadata without a value survive on a server that drops it (%s)', async (transport) => {
  const account = await rewritten(ceph, ({ headers }) => {
    for (const name of Object.keys(headers)) if (name.startsWith('x-amz-meta-') && headers[name] === '') delete headers[name];
  });
  expect(await probeEndpoint({ ...account, transport })).toMatchObject({ keepsEmptyValues: false });
  expect(await probeEndpoint(await accountOn(ceph))).toMatchObject({ keepsEmptyValues: true });
  const backend = s3Backend({ ...account, transport });
  onTestFinished(() => backend.close());
  const [bucket, metadata] = [`probe-${randomBytes(6).toString('hex')}`, { none: '', one: '=', two: '==', a_b: 'x=', some: 'y' }];
  await backend.buckets?.create(bucket, {}, noContext);
  const [at, copied] = [{ bucket, key: 'x' } as const, { bucket, key: 'copied' } as const];
  await backend.put(at, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain', metadata }, noContext);
  expect((await backend.head(at, noContext)).metadata).toEqual(metadata);
  await backend.copy(at, copied, {}, noContext);
  expect((await backend.head(copied, noContext)).metadata).toEqual(metadata);
});

it.each(transports)(
  'makes names with "_" survive if a proxy drops such headers, as nginx does, and thereby breaks the signature (%s)',
  async (transport) => {
    const account = await behindFront(ceph, (_method, _path, headers) => {
      for (const name of Object.keys(headers)) if (name.includes('_')) delete headers[name];
      return undefined;
    });
    expect(await probeEndpoint({ ...account, transport })).toMatchObject({ keepsUnderscores: false, keepsEmptyValues: true, acl: true });
    const backend = s3Backend({ ...account, transport });
    onTestFinished(() => backend.close());
    const [bucket, metadata] = [`probe-${randomBytes(6).toString('hex')}`, { a_b: 'c', none: '' }];
    await backend.buckets?.create(bucket, {}, noContext);
    const at = { bucket, key: 'x' } as const;
    await backend.put(at, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain', metadata }, noContext);
    expect((await backend.head(at, noContext)).metadata).toEqual(metadata);
  },
);

it.each(transports)('makes metadata without a value survive, whoever writes and whoever reads it (%s)', async (transport) => {
  const account = await behindFront(ceph, (method, path) =>
    method !== 'GET' && path.includes('coffer-probe-') ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
  );
  const everybody = [s3Backend({ ...account, transport }), s3Backend({ ...account, transport }, awsProfile)];
  onTestFinished(async () => void (await Promise.all(everybody.map((each) => each.close()))));
  const [bucket, metadata] = [`probe-${randomBytes(6).toString('hex')}`, { none: '', one: '=', two: '==', some: 'y' }];
  await everybody[0]!.buckets?.create(bucket, {}, noContext);
  for (const [index, writer] of everybody.entries()) {
    const at = { bucket, key: `by-${index}` };
    await writer.put(at, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain', metadata }, noContext);
    for (const reader of everybody) expect((await reader.head(at, noContext)).metadata).toEqual(metadata);
  }
});

it.each(transports)('makes storage classes fail if the server turns them into another one (%s)', async (transport) => {
  const account = await rewritten(ceph, ({ headers }) => void delete headers['x-amz-storage-class']);
  expect(await probeEndpoint({ ...account, transport })).toMatchObject({ storageClasses: false });
  expect(await probeEndpoint(await accountOn(ceph))).toMatchObject({ storageClasses: true });
  const backend = s3Backend({ ...account, transport });
  onTestFinished(() => backend.close());
  const bucket = `probe-${randomBytes(6).toString('hex')}`;
  await backend.buckets?.create(bucket, {}, noContext);
  const [at, body] = [{ bucket, key: 'x' } as const, { kind: 'buffer', data: Buffer.from('x') } as const];
  const refused = { code: 'not_supported' };
  const other = { contentType: 'text/plain', storageClass: 'GLACIER' };
  await expect(backend.put(at, body, other, noContext)).rejects.toMatchObject(refused);
  await expect(backend.head(at, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
  expect(await backend.put(at, body, { ...other, storageClass: 'STANDARD' }, noContext)).toMatchObject({ storageClass: 'STANDARD' });
  const copying = backend.copy(at, { bucket, key: 'copied' }, { storageClass: 'GLACIER' }, noContext);
  await expect(copying).rejects.toMatchObject(refused);
  const presigning = backend.presign!.upload(at, { ...other, size: 1, expiresIn: 60 }, noContext);
  await expect(presigning).rejects.toMatchObject(refused);
});

// As JuiceFS does.
it.each(transports)('takes no server for one with storage classes that refuses one, but forgets another (%s)', async (transport) => {
  const account = await rewritten(ceph, ({ headers }) => {
    if (headers['x-amz-storage-class'] === 'REDUCED_REDUNDANCY') delete headers['x-amz-storage-class'];
  });
  expect(await probeEndpoint({ ...account, transport })).toMatchObject({ storageClasses: false });
});

// Some hosted stores keep STANDARD_IA, and count other classes as one of those that they have.
it.each(transports)(
  'takes a server that keeps a storage class for one with storage classes, even if it forgets another (%s)',
  async (transport) => {
    const account = await behindFront(ceph, (method, path, { 'x-amz-storage-class': written }) => {
      const kept = /\/class(?:\?|$)/.test(path) ? { 'x-amz-storage-class': 'STANDARD_IA' } : undefined;
      const isAbout = method === 'HEAD' ? /\/class/.test(path) : written !== undefined;
      const headers = { etag: '"class"', 'last-modified': new Date(0).toUTCString(), ...kept };
      return isAbout ? { status: 200, body: '', headers } : undefined;
    });
    expect(await probeEndpoint({ ...account, transport })).toMatchObject({ storageClasses: true, acl: true });
  },
);

it.each(transports)('continues if a server fails with a storage class (%s)', async (transport) => {
  const account = await behindFront(ceph, (method, path) =>
    method === 'PUT' && /\/class(?:-\w+)?(?:\?|$)/.test(path) ? { status: 500, body: errorDocument('InternalError') } : undefined,
  );
  expect(await probeEndpoint({ ...account, transport })).toMatchObject({ storageClasses: true, acl: true, conditionalPut: true });
});

describe('a server without the features that remove the contents of buckets', () => {
  const lacks = [
    ['versions', (_method: string, path: string) => /[?&]version(?:s|ing)(?:[=&]|$)/.test(path)],
    ['lists of uploads', (method: string, path: string) => method === 'GET' && /[?&]uploads(?:[=&]|$)/.test(path)],
    ['deletions of many', (method: string, path: string) => method === 'POST' && /[?&]delete(?:[=&]|$)/.test(path)],
  ] as const;

  it.each(lacks.flatMap(([what, isLacked]) => transports.map((transport) => ({ what, isLacked, transport }))))(
    'is probed all the same, once and without leaving anything ($what, $transport)',
    async ({ isLacked, transport }) => {
      let probes = 0;
      const account = await behindFront(ceph, (method, path) => {
        if (method === 'PUT' && /^\/coffer-probe-[0-9a-f]+\/?$/.test(path)) probes++;
        return isLacked(method, path) ? { status: 501, body: errorDocument('NotImplemented') } : undefined;
      });
      const backend = s3Backend({ ...account, transport });
      const bucket = `probe-${randomBytes(6).toString('hex')}`;
      await backend.buckets?.create(bucket, {}, noContext);
      const data = Buffer.from('x');
      const put = { contentType: 'text/plain', ifNoneMatch: '*' } as const;
      for (const key of ['one', 'two']) await backend.put({ bucket, key }, { kind: 'buffer', data }, put, noContext);
      const many = await backend.batchDelete?.deleteMany(bucket, ['one', 'none'], noContext);
      expect(many).toEqual({ deleted: ['one', 'none'], errors: [] });
      await backend.buckets?.delete(bucket, { force: true }, noContext);
      expect(probes).toBe(1);
      expect((await backend.buckets?.list(noContext))?.map(({ name }) => name)).toEqual([]);
      await backend.close();
    },
  );
});

it.each(transports)('is not required for what credentials that may not probe are allowed to do (%s)', async (transport) => {
  let attempts = 0;
  let isReadOnly = false;
  const account = await behindFront(ceph, (method, path) => {
    if (method === 'PUT' && /^\/coffer-probe-[0-9a-f]+\/?$/.test(path)) attempts++;
    return isReadOnly && method !== 'GET' && method !== 'HEAD' ? { status: 403, body: errorDocument('AccessDenied') } : undefined;
  });
  const writer = s3Backend(account);
  const bucket = `probe-${randomBytes(6).toString('hex')}`;
  await writer.buckets?.create(bucket, {}, noContext);
  const keys = ['caf\u00e9', 'a//b', 'high\u{1f600}'];
  const described = { contentType: 'text/plain', metadata: { a_b: 'c' } };
  for (const key of keys) await writer.put({ bucket, key }, { kind: 'buffer', data: Buffer.from(key) }, described, noContext);
  [attempts, isReadOnly] = [0, true];
  const reader = s3Backend({ ...account, transport });
  onTestFinished(async () => {
    isReadOnly = false;
    await writer.buckets?.delete(bucket, { force: true }, noContext);
    await Promise.all([writer.close(), reader.close()]);
  });
  for (const key of keys)
    expect(await reader.head({ bucket, key }, noContext)).toMatchObject({ size: Buffer.byteLength(key), metadata: { a_b: 'c' } });
  expect(
    await reader.presign?.upload({ bucket, key: 'new' }, { contentType: 'text/plain', size: 1, expiresIn: 60 }, noContext),
  ).toMatchObject({ method: 'PUT' });
  await expect(
    reader.put({ bucket, key: 'new' }, { kind: 'buffer', data: Buffer.of() }, { contentType: 'text/plain', ifNoneMatch: '*' }, noContext),
  ).rejects.toMatchObject({ code: 'access_denied', message: expect.stringMatching(/tried out.* the permission s3:PutObject\.$/) });
  expect(attempts).toBe(1);
});

it.each(transports)('is not required for copies without a condition (%s)', async (transport) => {
  const account = await behindFront(ceph, (method, path) =>
    method !== 'GET' && path.includes('coffer-probe-') ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
  );
  const [backend, store] = [s3Backend({ ...account, transport }), openStore(account)];
  const bucket = `probe-${randomBytes(6).toString('hex')}`;
  await backend.buckets?.create(bucket, {}, noContext);
  onTestFinished(async () => {
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    store.connection.close();
    await backend.close();
  });
  const at = { bucket, key: 'x' };
  const described = { contentType: 'text/css', expires: 'Wed, 21 Oct 2026 07:28:00 GMT' };
  await store.transport.put(at, { kind: 'buffer', data: Buffer.from('x') }, described, noContext);
  for (const to of [{ bucket, key: 'y' }, at]) {
    await backend.copy(at, to, {}, noContext);
    expect(await store.transport.head(to, noContext)).toMatchObject({ contentType: 'text/css', carried: { expires: described.expires } });
  }
  await expect(backend.copy(at, at, { ifMatch: '9dd4e461268c8034f5c8564e155c67a6' }, noContext)).rejects.toMatchObject({
    code: 'access_denied',
  });
});

it.each(transports)('detects rules that a server accepts but does not store (%s)', async (transport) => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'PUT' && /\?(?:cors|lifecycle|versioning)/.test(path) ? { status: 200, body: '' } : undefined,
  );
  const lacks = { versioning: false, lifecycle: false, abortRule: false, cors: false };
  expect(await probeEndpoint({ ...options, transport })).toMatchObject(lacks);
  const backend = s3Backend({ ...options, transport });
  onTestFinished(() => backend.close());
  const bucket = `probe-${randomBytes(6).toString('hex')}`;
  await backend.buckets?.create(bucket, {}, noContext);
  const rules = [{ id: 'old', prefix: '', expireDays: 1 }];
  await expect(backend.versioning?.setVersioning(bucket, true, noContext)).rejects.toMatchObject({ code: 'not_supported' });
  await backend.versioning?.setVersioning(bucket, false, noContext); // which is its state already
  await expect(backend.lifecycle?.setLifecycle(bucket, rules, noContext)).rejects.toMatchObject({ code: 'not_supported' });
});

describe('a caller who waits for a probe in the bucket of somebody else', () => {
  it('learns neither the name of that bucket nor what is wrong with it', async () => {
    const account = await behindFront(ceph, (method, path) =>
      method === 'PUT' && /^\/coffer-probe-[0-9a-f]+\/?$/.test(path) ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
    );
    const [backend, store] = [s3Backend(account), openStore(account)];
    const [bucket, gone] = ['there', 'gone'].map((name) => `probe-${name}-${randomBytes(6).toString('hex')}`) as [string, string];
    await backend.buckets?.create(bucket, {}, noContext);
    onTestFinished(async () => {
      store.connection.close();
      await backend.buckets?.delete(bucket, { force: true }, noContext);
      await backend.close();
    });
    const [first, second, third] = await Promise.allSettled([
      store.endpoint.profile(gone),
      store.endpoint.profile(bucket),
      store.endpoint.profile(gone),
    ]);
    for (const failed of [first, third]) expect(failed).toMatchObject({ status: 'rejected', reason: { code: 'no_such_bucket' } });
    expect(second).toMatchObject({ status: 'fulfilled', value: { acl: true } });
  });
});

// Ceph ignores a condition where versions are kept, which leaves a version that has to be listed first.
it('leaves no bucket on MinIO where the credentials may delete it, but not list its uploads', async ({ skip }) => {
  if (typeof minio === 'string') return skip(minio);
  let name: string | undefined;
  const account = await behindFront(minio, (method, path) => {
    name ??= /^\/(coffer-probe-[0-9a-f]+)/.exec(path)?.[1];
    return method === 'GET' && /[?&]uploads(?:[=&]|$)/.test(path) ? { status: 403, body: errorDocument('AccessDenied') } : undefined;
  });
  const backend = s3Backend(account);
  onTestFinished(() => backend.close());
  expect(await probeEndpoint(account)).toMatchObject({ versioning: true });
  await expect(backend.buckets!.head(name!, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
});

it.each(transports)('removes from a bucket in use only what it has written there, whatever the server lists (%s)', async (transport) => {
  const account = await rewritten(ceph, (request) => {
    const isSandbox = request.method === 'PUT' && request.key === '' && request.bucket.startsWith('coffer-probe-');
    if (isSandbox) request.query = 'acl'; // of a bucket that does not exist, so that no sandbox bucket can be created
    if (request.method === 'GET') request.query = request.query.replace(/(^|&)prefix=[^&]*/, '');
    return false;
  });
  const bucket = `probe-${randomBytes(6).toString('hex')}`;
  const own = s3Backend({ ...account, transport });
  onTestFinished(async () => {
    await own.buckets?.delete(bucket, { force: true }, noContext);
    await own.close();
  });
  await own.buckets?.create(bucket, {}, noContext);
  const put = (key: string, more: { readonly ifNoneMatch?: '*' } = {}): Promise<unknown> =>
    own.put({ bucket, key }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain', ...more }, noContext);
  await put('precious');
  await put('new', { ifNoneMatch: '*' }); // this needs a probe of the endpoint
  expect((await own.list(bucket, {}, noContext)).objects.map(({ key }) => key)).toEqual(['new', 'precious']);
});
