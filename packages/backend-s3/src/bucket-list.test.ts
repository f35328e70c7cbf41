import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { listBuckets } from './bucket-list.ts';
import { bucketOperations } from './buckets.ts';
import { toStorageError } from './errors.ts';
import type { Store } from './store.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, refusal } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

it('takes all buckets of a provider that has no pages, however many there are', async () => {
  const buckets = Array.from({ length: 200_000 }, (_, index) => ({ name: `bucket-${index}`, createdAt: new Date(0) }));
  const transport = { listBuckets: async () => ({ buckets }) };
  const store = { settings: { isAws: false }, transport } as unknown as Store;
  expect(await listBuckets(store, noContext)).toHaveLength(buckets.length);
});

it('reads the buckets of AWS page by page, all with the same prefix', async () => {
  const asked: unknown[] = [];
  const listed: Store['transport']['listBuckets'] = async (options) => {
    asked.push(options);
    const page = { buckets: [{ name: `a-${asked.length}`, createdAt: new Date(0) }] };
    return asked.length < 3 ? { ...page, continuationToken: `${asked.length}` } : page;
  };
  const store = { settings: { isAws: true }, transport: { listBuckets: listed } } as unknown as Store;
  expect((await listBuckets(store, noContext, 'a-')).map(({ name }) => name)).toEqual(['a-1', 'a-2', 'a-3']);
  const first = { maxBuckets: 1000, prefix: 'a-' };
  expect(asked).toEqual([first, { ...first, continuationToken: '1' }, { ...first, continuationToken: '2' }]);
  asked.splice(0, 3, 1, 2);
  await listBuckets(store, noContext);
  expect(asked.at(-1)).toEqual({ maxBuckets: 1000 });
});

it.each(transports)('lists buckets of regions that the endpoint does not lead to (%s)', async (transport) => {
  const named = (name: string, region: string): string =>
    `<Bucket><Name>${name}</Name><BucketRegion>${region}</BucketRegion><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>`;
  const all = named('far', 'eu-west-1') + named('near', 'us-east-1');
  const server = await serve((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://localhost');
    // The endpoint of a region takes no signatures for another one, whatever it has redirected to.
    const malformed = refusal(400, 'AuthorizationHeaderMalformed', {}, '<Region>us-east-1</Region>');
    if (request.headers.authorization?.includes('/us-east-1/') !== true) return malformed(request, response);
    const elsewhere = refusal(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1' });
    if (pathname.startsWith('/far')) return elsewhere(request, response);
    const versions = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
    const list = `<ListAllMyBucketsResult><Buckets>${all}</Buckets></ListAllMyBucketsResult>`;
    return answering(pathname === '/' ? list : versions)(request, response);
  });
  const listed = await backendTo(server, { transport }).buckets!.list(noContext);
  const shown = listed.map(({ name, region, versioningEnabled }) => [name, region, versioningEnabled]);
  expect(shown).toEqual([['far', 'eu-west-1', false], ['near', 'us-east-1', true]]); // prettier-ignore
});

it.each(transports.flatMap((transport) => [301, 307].map((status) => [transport, status] as const)))(
  'lists the region of buckets in another zone group of Ceph, which tells nothing else about them (%s, %i)',
  async (transport, status) => {
    const bucket = '<Bucket><Name>far</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>';
    const server = await serve((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
      if (pathname === '/') {
        return answering(`<ListAllMyBucketsResult><Buckets>${bucket}</Buckets></ListAllMyBucketsResult>`)(request, response);
      }
      if (searchParams.has('location'))
        return answering('<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>')(
          request,
          response,
        );
      const headers = { location: `http://127.0.0.1:1${request.url}`, 'x-amz-request-id': 'tx1', 'content-length': '0' };
      return response.writeHead(status, headers).end();
    });
    const backend = backendTo(server, { transport });
    expect(await backend.buckets!.list(noContext)).toMatchObject([{ name: 'far', region: 'eu-west-1', versioningEnabled: false }]);
    // Nor are requests, which carry a signature, sent where the answer says.
    await expect(backend.buckets!.head('far', noContext)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: false });
  },
);

it('lists buckets of regions where there is no endpoint of the kind, as of FIPS', async () => {
  const lookup = Object.assign(new Error('no such host'), { code: 'ENOTFOUND' });
  const store = {
    settings: { isAws: true, region: 'us-east-1' },
    transport: { listBuckets: async () => ({ buckets: [{ name: 'far', createdAt: new Date(0), region: 'eu-west-1' }] }) },
    administration: { getVersioning: () => Promise.reject(toStorageError(lookup, { permission: '' })) },
  } as unknown as Store;
  expect(await bucketOperations(store).list(noContext)).toMatchObject([{ name: 'far', region: 'eu-west-1', versioningEnabled: false }]);
});

describe.each(transports)('an endpoint whose address points into a bucket (%s)', (transport) => {
  it.each([
    ['that exists', answering('<ListBucketResult><Name>bucket</Name></ListBucketResult>')],
    ['that does not exist, as host names do at Ceph that are not its own', refusal(404, 'NoSuchBucket')],
  ])('%s is no server without buckets', async (_what, answer) => {
    const server = await serve(answer);
    await expect(backendTo(server, { transport }).buckets!.list(noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
  });
});

it.each(transports)('lists the buckets of a server that knows no versions (%s)', async (transport) => {
  const bucket = '<Bucket><Name>plain</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>';
  const server = await serve((request, response) => {
    const isAll = new URL(request.url ?? '', 'http://localhost').pathname === '/';
    const list = answering(`<ListAllMyBucketsResult><Buckets>${bucket}</Buckets></ListAllMyBucketsResult>`);
    return (isAll ? list : refusal(501, 'NotImplemented'))(request, response);
  });
  expect(await backendTo(server, { transport }).buckets!.list(noContext)).toMatchObject([{ name: 'plain', versioningEnabled: false }]);
});

it.each(transports)('takes no redirect of a portal for a bucket that exists already (%s)', async (transport) => {
  const server = await serve((_request, response) => response.writeHead(301, { location: 'https://portal.example/' }).end());
  const creating = backendTo(server, { transport }).buckets!.create('bucket', {}, noContext);
  await expect(creating).rejects.toMatchObject({ code: 'storage_unavailable' });
});
