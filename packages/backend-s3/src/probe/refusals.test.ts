import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import { probeEndpoint, s3Backend } from '../backend.ts';
import { openStore } from '../open-store.ts';
import { transports } from '../testing/fault-bench.ts';
import { behindFront, errorDocument } from '../testing/front.ts';
import { accountOn, ifAvailable } from '../testing/server.ts';

const ceph = await startS3('ceph');
const minio = await ifAvailable(startS3('minio'));

it('is made again by whoever needs it next, once it has failed', async () => {
  let isBusy = true;
  const options = await behindFront(ceph, () => (isBusy ? { status: 503, body: errorDocument('ServiceUnavailable') } : undefined));
  const store = openStore(options);
  onTestFinished(() => store.connection.close());
  await expect(store.endpoint.profile('bucket')).rejects.toMatchObject({ code: 'storage_unavailable' });
  isBusy = false;
  expect(await store.endpoint.profile('bucket')).toMatchObject({ acl: true, conditionalPut: true });
});

it.each([
  ['lean', 200],
  ['sdk', 403],
] as const)('is not misled by a page that comes between, once at each place (%s, %i)', async (transport, status) => {
  const left = new Map<string, readonly [string, RegExp]>([
    ['the bucket to try things out in', ['PUT', /^\/[^/?]+\/?(?:\?x-id|$)/]],
    ['an ACL', ['PUT', /\/public(?:\?|$)/]],
    ['a checksum', ['PUT', /\/sum-md5(?:\?|$)/]],
    ['a condition', ['PUT', /\/put-\d+(?:\?|$)/]],
    ['a signature', ['PUT', /\/forged\?/]],
    ['an upload by parts', ['POST', /\/parts\?uploads/]],
    ['a form', ['POST', /^\/[^/?]+\/?$/]],
    ['a key', ['GET', /\/Capital(?:\?|$)/]],
    ['a rule', ['PUT', /\?cors/]],
    ['versions', ['GET', /\?versioning/]],
    ['the deletion of a full bucket', ['DELETE', /^\/[^/?]+\/?$/]],
  ]);
  const options = await behindFront(ceph, (method, path) => {
    const [place] = [...left].find(([, [asked, where]]) => asked === method && where.test(path)) ?? [];
    if (place === undefined) return undefined;
    left.delete(place);
    return { status, body: '<!DOCTYPE html><title>Maintenance</title>', type: 'text/html' };
  });
  const found = await probeEndpoint({ ...options, transport, maxRetries: 0 });
  expect([...left.keys()]).toEqual([]);
  expect(found).toEqual(await probeEndpoint({ ...(await accountOn(ceph)), transport }));
});

it.each([
  ['a full quota', 'QuotaExceeded', 'storage_unavailable'],
  ['expired credentials', 'ExpiredToken', 'access_denied'],
  ['a wrong clock', 'RequestTimeTooSkewed', 'access_denied'],
])('does not take %s for a refusal of what is tried out, and tries again at once', async (_what, name, code) => {
  let [isFailing, isMended] = [false, false];
  const options = await behindFront(ceph, (method, path) => {
    isFailing ||= method === 'PUT' && path.includes('/sum-md5');
    return isFailing && !isMended ? { status: 403, body: errorDocument(name) } : undefined;
  });
  const store = openStore(options);
  onTestFinished(() => store.connection.close());
  await expect(store.endpoint.profile('bucket')).rejects.toMatchObject({ code, cause: { name } });
  isMended = true;
  expect(await store.endpoint.profile('bucket')).toMatchObject({ verifiedSums: expect.arrayContaining(['md5']) });
});

it('writes another key each time it makes sure that the server is well: some take one write of a key a second', async () => {
  const written = new Set<string>();
  const options = await behindFront(ceph, (method, path) => {
    if (method !== 'PUT' || !path.includes('/plain')) return undefined;
    if (written.has(path)) return { status: 429, body: errorDocument('TooManyRequests') };
    written.add(path);
    return undefined;
  });
  expect(await probeEndpoint({ ...options, maxRetries: 0 })).toMatchObject({ acl: true });
  expect(written.size).toBeGreaterThan(1);
});

it.each(transports)('tells of a wrong secret, not of permissions (%s)', async (transport) => {
  const backend = s3Backend({ ...(await accountOn(ceph)), secretKey: 'wrong-secret', transport });
  onTestFinished(() => backend.close());
  const put = { contentType: 'text/plain', ifNoneMatch: '*' } as const;
  await expect(backend.put({ bucket: 'bucket', key: 'key' }, { kind: 'buffer', data: Buffer.of() }, put, noContext)).rejects.toMatchObject({
    code: 'access_denied',
    message: expect.stringContaining('secret key'),
    cause: { name: 'SignatureDoesNotMatch' },
  });
});

it.each(transports)('costs a server nothing else if it always fails in its own way with some things (%s)', async (transport) => {
  const isBucket = (path: string): boolean => /^\/[^/?]+\/?$/.test(path);
  const options = await behindFront(ceph, (method, path, headers) => {
    if (method === 'HEAD' && isBucket(path)) return { status: 400, body: '' };
    if (method === 'GET' && /[?&]acl(?:[=&]|$)/.test(path)) return { status: 200, body: '' };
    if (method === 'POST' && isBucket(path)) return { status: 403, body: errorDocument('InvalidAccessKeyId') };
    if (headers['x-amz-copy-source-if-match'] !== undefined) return { status: 500, body: errorDocument('InternalError') };
    if (method === 'POST' && headers['if-match'] !== undefined) return { status: 404, body: '<h1>Nothing here</h1>', type: 'text/html' };
    if (headers['x-amz-storage-class'] !== undefined) return { status: 503, body: errorDocument('ServiceUnavailable') };
    return undefined;
  });
  const own = { region: undefined, acl: false, formAcl: false, postPolicy: false, emptyForms: false, conditionalComplete: false };
  const usual = await probeEndpoint({ ...(await accountOn(ceph)), transport });
  const found = await probeEndpoint({ ...options, transport, maxRetries: 0 });
  expect(found).toEqual({ ...usual, ...own, copySourceCondition: false, storageClasses: true });
});

it.skipIf(typeof minio === 'string').each(transports)(
  'does not take its own write, whose answer got lost, for a broken condition (%s)',
  async (transport) => {
    if (typeof minio === 'string') throw new Error(minio);
    let lost = 0;
    const options = await behindFront(minio, (method, path) =>
      method === 'PUT' && /\/put-\d+(?:\?|$)/.test(path) && lost++ === 0 ? 'loseAnswer' : undefined,
    );
    expect(await probeEndpoint({ ...options, transport })).toMatchObject({ conditionalPut: true });
    expect(lost).toBeGreaterThan(1);
  },
);
