import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import { probeEndpoint, s3Backend } from '../backend.ts';
import { openStore } from '../open-store.ts';
import { transports } from '../testing/fault-bench.ts';
import { behindFront, errorDocument } from '../testing/front.ts';
import { rewritten } from '../testing/rewriting-front.ts';
import { ok, scripted } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';
import { refusedKeys } from './keys.ts';
import type { Sandbox } from './sandbox.ts';

const ceph = await startS3('ceph');

it('takes a key that is not listed for one that the server does not hold', async () => {
  const options = await behindFront(ceph, (_method, path) =>
    path.includes('prefix=back%5Cslash') ? { status: 200, body: '<ListBucketResult></ListBucketResult>' } : undefined,
  );
  expect(await probeEndpoint(options)).toMatchObject({ refusedKeys: ['a "\\"'] });
});

it.each([
  ['in a bucket of its own', undefined],
  ['in a bucket that it may not look at', 'create'],
])('takes no key for refused where the credentials may list nothing: %s', async (_where, denied) => {
  const isList = (method: string, path: string): boolean => method === 'GET' && path.includes('list-type=2');
  const isBucket = (path: string): boolean => /^\/[^/?]+\/?$/.test(path);
  const account = await behindFront(ceph, (method, path) => {
    const isOfBucket = isList(method, path) || (method === 'HEAD' && isBucket(path));
    const isCreation = denied === 'create' && method === 'PUT' && path.startsWith('/coffer-probe-') && isBucket(path);
    return isOfBucket || isCreation ? { status: 403, body: method === 'HEAD' ? '' : errorDocument('AccessDenied') } : undefined;
  });
  const backend = s3Backend({ ...account, endpoint: ceph.endpoint });
  const bucket = `probe-${randomBytes(6).toString('hex')}`;
  await backend.buckets?.create(bucket, {}, noContext);
  onTestFinished(async () => {
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await backend.close();
  });
  expect(await probeEndpoint(account, bucket)).toMatchObject({ refusedKeys: [], hidesKeysBelowObjects: false, conditionalPut: true });
  expect((await backend.list(bucket, {}, noContext)).objects).toEqual([]);
});

it('takes 500 for a refusal of a key, as of servers whose file systems cannot hold it', async () => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'PUT' && /^\/coffer-probe-\w+\/(?:slash|x\/y|n{256})$/.test(path) ? { status: 500, body: '' } : undefined,
  );
  expect(await probeEndpoint(options)).toMatchObject({
    refusedKeys: ['segments over 255 bytes', 'a "/" at the end'],
    hidesKeysBelowObjects: true,
  });
});

it('takes a key whose bytes cannot be decrypted for refused: MinIO, where it encrypts everything, seals one for another key', async () => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'GET' && /^\/coffer-probe-\w+\/marker__XLDIR__(?:\?|$)/.test(path)
      ? { status: 400, body: errorDocument('kms:InvalidCiphertextException') }
      : undefined,
  );
  expect(await probeEndpoint(options)).toMatchObject({ refusedKeys: ['segments that end with "__XLDIR__"'] });
});

it('does not take a temporary 500 to everything for a refusal of a key', async () => {
  let isAilingUntil = 0;
  const options = await behindFront(ceph, (method, path) => {
    if (method !== 'PUT' || !path.startsWith('/coffer-probe-')) return undefined;
    if (/\/(?:slash|x\/y)$/.test(path) && isAilingUntil === 0) isAilingUntil = Date.now() + 300;
    return Date.now() < isAilingUntil ? { status: 500, body: '' } : undefined;
  });
  await expect(probeEndpoint({ ...options, maxRetries: 0 })).rejects.toMatchObject({ code: 'storage_unavailable' });
});

it('does not take 500 for a refusal if the key is accepted on the second attempt', async () => {
  const failed = new Set<string>();
  const options = await behindFront(ceph, (method, path) => {
    if (method !== 'PUT' || !/^\/coffer-probe-\w+\/(?:slash|x\/y)$/.test(path) || failed.has(path)) return undefined;
    failed.add(path);
    return { status: 500, body: '' };
  });
  expect(await probeEndpoint({ ...options, maxRetries: 0 })).toMatchObject({ refusedKeys: [], hidesKeysBelowObjects: false });
  expect(failed.size).toBe(2);
});

it('detects that there can be no key below an object', async () => {
  const body = '<Error><Code>ObjectParentIsFile</Code></Error>';
  const options = await behindFront(ceph, (method, path) =>
    method === 'PUT' && path.endsWith('/x/y') ? { status: 409, body } : undefined,
  );
  expect(await probeEndpoint(options)).toMatchObject({ refusedKeys: [], hidesKeysBelowObjects: true });
});

it.each(transports)('refuses keys that are listed only by their own prefix (%s)', async (transport) => {
  const account = await behindFront(ceph, (method, path) =>
    method === 'GET' && /[?&]prefix=(?:kept|\.upload|\.sgwtm)(?:&|$)/.test(path)
      ? { status: 200, body: '<ListBucketResult></ListBucketResult>' }
      : undefined,
  );
  const backend = s3Backend({ ...account, transport });
  onTestFinished(() => backend.close());
  const refused = { code: 'invalid_key' };
  for (const key of ['.uploads/x', 'a/.uploads', '.sgwtmp/x', 'a/.sgwtmp', 'x.versions', 'x.versions/y']) {
    const put = backend.put({ bucket: 'any', key }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    await expect(put).rejects.toMatchObject(refused);
    await expect(backend.get({ bucket: 'any', key }, {}, noContext)).rejects.toMatchObject(refused);
    await expect(backend.delete({ bucket: 'any', key }, noContext)).rejects.toMatchObject(refused);
  }
});

/** How servers change keys, and two keys that become one. */
const careless: readonly [string, string, string, (key: string) => string][] = [
  ['loses spaces before it', 'in/ name', 'in/name', (key) => key.replace(/(^|\/) +/g, '$1')],
  ['loses characters of four bytes', 'x\u{1f600}', 'x\u{1f601}', (key) => key.replace(/[\u{10000}-\u{10ffff}]/gu, '?')],
  [
    'takes two forms of a folder for one',
    'cafe\u0301/x',
    'caf\u00e9/x',
    (key) => key.replace(/^.*\//, (folder) => folder.normalize('NFC')),
  ],
];

it.each(careless.flatMap(([what, odd, plain, made]) => transports.map((transport) => ({ what, odd, plain, made, transport }))))(
  'refuses a key if the server $what, before it becomes another one ($transport)',
  async ({ odd, plain, made, transport }) => {
    const account = await rewritten(ceph, (request) => void (request.key = made(request.key)));
    const backend = s3Backend({ ...account, transport });
    onTestFinished(() => backend.close());
    const bucket = `probe-${randomBytes(6).toString('hex')}`;
    await backend.buckets?.create(bucket, {}, noContext);
    const put = (key: string): Promise<unknown> =>
      backend.put({ bucket, key }, { kind: 'buffer', data: Buffer.from(key) }, { contentType: 'text/plain' }, noContext);
    await put(plain).catch(() => {}); // it may be of the same class
    await expect(put(odd)).rejects.toMatchObject({ code: 'invalid_key' });
    await expect(backend.delete({ bucket, key: odd }, noContext)).rejects.toMatchObject({ code: 'invalid_key' });
  },
);

const everyday: readonly [string, string, (key: string) => string][] = [
  ['capital letters', 'Report.pdf', (key) => key.toLowerCase()],
  ['"+"', 'a+b', (key) => key.replaceAll('+', ' ')],
  ['"%"', 'a%20b', (key) => key.replaceAll('%20', ' ')],
];

it.each(everyday.flatMap(([what, odd, made]) => transports.map((transport) => ({ what, odd, made, transport }))))(
  'refuses $what only if they are already known to get lost, and does not probe for them ($transport)',
  async ({ odd, made, transport }) => {
    let probes = 0;
    const account = await rewritten(ceph, (request) => {
      if (request.method === 'PUT' && request.key === '' && request.query === '' && request.bucket.startsWith('coffer-probe-')) probes++;
      request.key = made(request.key);
    });
    const backend = s3Backend({ ...account, transport });
    onTestFinished(() => backend.close());
    const bucket = `probe-${randomBytes(6).toString('hex')}`;
    await backend.buckets?.create(bucket, {}, noContext);
    const put = (key: string, more: { readonly ifNoneMatch?: '*' } = {}): Promise<unknown> =>
      backend.put({ bucket, key }, { kind: 'buffer', data: Buffer.from(key) }, { contentType: 'text/plain', ...more }, noContext);
    await put(odd);
    expect(probes).toBe(0);
    await put('other.pdf', { ifNoneMatch: '*' });
    expect(probes).toBe(1);
    await expect(put(odd)).rejects.toMatchObject({ code: 'invalid_key' });
  },
);

const lastChanged = { etag: '"made"', 'last-modified': new Date().toUTCString() };

function sandboxOn(bucket: string): Sandbox {
  const nothing = async (): Promise<void> => {};
  const at = (key: string): ObjectAddress => ({ bucket, key });
  return { bucket, isOwn: true, at, next: at, assertWell: nothing, clear: nothing, close: nothing };
}

it.each(transports)('learn nothing from objects that are cut off (%s)', async (transport) => {
  const cut: Answer = (request, response) => {
    if (request.method !== 'GET') return void ok(request, response);
    response.writeHead(200, lastChanged);
    response.write('x', () => setTimeout(() => response.destroy(), 20));
  };
  const server = await scripted(cut);
  const store = openStore({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', maxRetries: 0, transport });
  onTestFinished(async () => {
    store.connection.close();
    await server.close();
  });
  await expect(refusedKeys(store, sandboxOn('bucket'), true)).rejects.toMatchObject({ code: 'storage_unavailable' });
});

// MinIO of February 2021 (97fe57bba92c) on four drives.
it.each(transports)('asks again, one list at a time, where lists disturb each other (%s)', async (transport) => {
  const keys = new Set<string>();
  let lists = 0;
  const server = await scripted((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://server');
    const key = decodeURIComponent(pathname.slice('/bucket/'.length));
    if (request.method === 'PUT') keys.add(key);
    if (request.method !== 'GET') return void ok(request, response);
    if (!searchParams.has('list-type')) return void response.writeHead(200, lastChanged).end(key);
    lists++;
    setTimeout(() => {
      const shown = [...keys].filter((name) => name.startsWith(searchParams.get('prefix')!));
      const entries = shown.map((name) => `<Contents><Key>${encodeURIComponent(name)}${lists > 1 ? '/' : ''}</Key></Contents>`);
      lists--;
      response.end(`<ListBucketResult><EncodingType>url</EncodingType>${entries.join('')}</ListBucketResult>`);
    }, 20);
  });
  const store = openStore({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', transport });
  onTestFinished(async () => {
    store.connection.close();
    await server.close();
  });
  expect(await refusedKeys(store, sandboxOn('bucket'), true)).toEqual([]);
});
