import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { s3Backend } from './backend.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { deleteBatch } from './remove.ts';
import { faultBench, transports } from './testing/fault-bench.ts';
import { behindFront, errorDocument } from './testing/front.ts';
import { newStage } from './testing/lean.ts';
import { answering, refusal } from './testing/scripted.ts';
import { accountOn, ifAvailable, startOn } from './testing/server.ts';

const { serve, backendTo, open, clear } = newStage();
afterEach(clear);

it.each(transports)('an object does not count as deleted if the answer is an error after a 200 (%s)', async (transport) => {
  const server = await serve(answering('<?xml version="1.0"?><Error><Code>InternalError</Code></Error>'));
  const deleting = backendTo(server, { transport }).delete({ bucket: 'bucket', key: 'key' }, noContext);
  await expect(deleting).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
});

it.each(transports)('an object that is gone counts as deleted, also if the server answers that it is not there (%s)', async (transport) => {
  const server = await serve(refusal(404, 'NoSuchKey'));
  await backendTo(server, { transport }).delete({ bucket: 'bucket', key: 'key' }, noContext);
  expect(server.requests.map(({ method }) => method)).toEqual(['DELETE']);
});

describe.each(transports)('a batch of deletions (%s)', (transport) => {
  const bench = faultBench(transport, () => startS3('ceph'));
  /** Reports failures in the answer to a batch, and refuses one single deletion. */
  const refusing = (path: string, failures: string): ReturnType<typeof serve> =>
    serve((request, response) => {
      if (request.method === 'POST') return answering(`<DeleteResult>${failures}</DeleteResult>`)(request, response);
      const isRefused = request.url?.startsWith(path) === true;
      return isRefused ? refusal(403, 'AccessDenied')(request, response) : response.writeHead(204).end();
    });

  it('leaves alone keys that the server may confuse with others, and says so', async () => {
    const odd = ['a//b', 'folder/'];
    for (const key of ['plain', ...odd])
      await bench.direct.put(bench.at(key), { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    const profile = { ...awsProfile, refusedKeys: ['empty segments', 'a "/" at the end'] as const };
    const { deleted, errors } = await bench.through({}, { profile }).batchDelete!.deleteMany(bench.bucket, ['plain', ...odd], noContext);
    expect(deleted).toEqual(['plain']);
    expect(errors.map(({ key, code }) => [key, code])).toEqual(odd.map((key) => [key, 'invalid_key']));
    const { objects } = await bench.direct.list(bench.bucket, {}, noContext);
    expect(objects.map(({ key }) => key)).toEqual(odd);
  });

  it('leaves keys to requests of their own that a server may misread in a document, one for each', async () => {
    const keys = ['a&amp;b', 'a&#38;b', ' a', 'a\u2028b', 'a&b'];
    const server = await serve((request, response) =>
      request.method === 'POST' ? answering('<DeleteResult></DeleteResult>')(request, response) : response.writeHead(204).end(),
    );
    expect(await backendTo(server, { transport }).batchDelete!.deleteMany('bucket', [...keys, ' a'], noContext)).toEqual({
      deleted: keys,
      errors: [],
    });
    const alone = server.requests
      .filter(({ method }) => method === 'DELETE')
      .map(({ url = '' }) => /[^/?]*(?=\?|$)/.exec(url.slice(8))?.[0]);
    expect(alone.toSorted()).toEqual(['%20a', 'a%26%2338%3Bb', 'a%26amp%3Bb', 'a%E2%80%A8b']);
  });

  it('means no_such_bucket, also if the server has no batches or the key stands alone', async () => {
    const server = await serve((request, response) =>
      (request.method === 'POST' ? refusal(501, 'NotImplemented') : refusal(404, 'NoSuchBucket'))(request, response),
    );
    for (const keys of [['a', 'b'], [' a']]) {
      const deleting = backendTo(server, { transport }).batchDelete!.deleteMany('bucket', keys, noContext);
      await expect(deleting).rejects.toMatchObject({ code: 'no_such_bucket' });
    }
  });

  it('takes as many of the longest keys as there are, whose document a server may find too long', async () => {
    const keys = Array.from({ length: 300 }, (_, index) => `${'&'.repeat(1000)}${index}`);
    const [first, last] = [keys[0]!, keys.at(-1)!];
    for (const key of [first, last])
      await bench.direct.put(bench.at(key), { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    const deleted = await bench.through({}).batchDelete!.deleteMany(bench.bucket, keys, noContext);
    expect(deleted).toEqual({ deleted: keys, errors: [] });
    expect((await bench.direct.list(bench.bucket, { prefix: '&' }, noContext)).objects).toEqual([]);
  });

  it('says which permission may be missing where it is refused', async () => {
    const refused = '<Error><Key>a</Key><Code>AccessDenied</Code><Message>No</Message></Error>';
    const gone = '<Error><Key>b</Key><Code>NoSuchKey</Code><Message>No</Message></Error>'; // which is what was wanted
    const server = await serve(answering(`<DeleteResult>${refused}${gone}</DeleteResult>`));
    const result = await backendTo(server, { transport }).batchDelete!.deleteMany('bucket', ['a', 'b'], noContext);
    const message = expect.stringContaining('s3:DeleteObject') as string;
    expect(result).toEqual({ deleted: ['b'], errors: [{ key: 'a', code: 'access_denied', message }] });
  });

  it('has at most 1,000 keys', async () => {
    const keys = Array.from({ length: 1001 }, (_, index) => `key-${index}`);
    const server = await serve(answering('<DeleteResult></DeleteResult>'));
    const { batchDelete } = backendTo(server, { transport });
    await expect(batchDelete!.deleteMany('bucket', keys, noContext)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(server.requests).toEqual([]);
    expect((await batchDelete!.deleteMany('bucket', keys.slice(1), noContext)).deleted).toEqual(keys.slice(1));
  });

  it('reports what was deleted and what was not if the server refuses some of it', async () => {
    const keys = Array.from({ length: 500 }, (_, index) => `key-${index}`);
    const server = await serve(answering('<DeleteResult></DeleteResult>'), refusal(403, 'AccessDenied'));
    const deleting = async () => backendTo(server, { transport }).batchDelete!.deleteMany('bucket', keys, noContext);
    const { deleted, errors } = await deleting();
    expect([deleted.length, errors.length]).toEqual([250, 250]);
    expect([...deleted, ...errors.map(({ key }) => key)].toSorted()).toEqual(keys.toSorted());
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['access_denied']));
    await expect(deleting()).rejects.toMatchObject({ code: 'access_denied' }); // the whole batch
  });

  it('reports as deleted what has been deleted alone, if everything else is refused', async () => {
    const server = await serve((request, response) =>
      request.url?.includes('/%20b') === true ? response.writeHead(204).end() : refusal(403, 'AccessDenied')(request, response),
    );
    const { deleted, errors } = await backendTo(server, { transport }).batchDelete!.deleteMany('bucket', ['a', ' b'], noContext);
    expect(deleted).toEqual([' b']);
    expect(errors).toMatchObject([{ key: 'a', code: 'access_denied' }]);
  });

  it('fails as a whole if nothing could be deleted, neither together nor alone, as while the provider is down', async () => {
    const server = await serve(refusal(503, 'ServiceUnavailable'));
    const deleting = backendTo(server, { transport }).batchDelete!.deleteMany('bucket', ['a', ' b'], noContext);
    await expect(deleting).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  it.each(['InternalError', 'UnknownError'])('deletes one by one what fails in a batch, until that fails, too: %s', async (name) => {
    const failing = (key: string): string => `<Error><Key>${key}</Key><Code>${name}</Code><Message>${name}</Message></Error>`;
    const alone: string[] = [];
    let isBroken = false;
    const server = await serve((request, response) => {
      if (request.method === 'POST')
        return answering(`<DeleteResult>${['b', 'c', 'd'].map(failing).join('')}</DeleteResult>`)(request, response);
      alone.push(request.url ?? '');
      return isBroken ? refusal(500, 'InternalError')(request, response) : response.writeHead(204).end();
    });
    const { batchDelete } = backendTo(server, { transport });
    const keys = ['a', 'b', 'c', 'd'];
    expect(await batchDelete!.deleteMany('bucket', keys, noContext)).toEqual({ deleted: keys, errors: [] });
    expect(alone.map((url) => new URL(url, server.endpoint).pathname).sort()).toEqual(['/bucket/b', '/bucket/c', '/bucket/d']);
    isBroken = true;
    const { deleted, errors } = await batchDelete!.deleteMany('bucket', keys, noContext);
    expect(deleted).toEqual(['a']);
    expect(errors.map(({ key, code }) => [key, code])).toEqual(['b', 'c', 'd'].map((key) => [key, 'storage_unavailable']));
    expect(alone).toHaveLength(4);
  });

  // Answers of servers without batches: of GCS, and of those that do not know POST at all.
  it.each([
    [400, 'InvalidArgument'],
    [400, 'MalformedXML'],
    [501, 'NotImplemented'],
    [405, 'MethodNotAllowed'],
  ])('is done one by one if the server has no batches: %s %s', async (status, code) => {
    const alone: string[] = [];
    const server = await serve((request, response) => {
      if (request.method === 'POST') return refusal(status, code)(request, response);
      alone.push(request.url ?? '');
      return response.writeHead(204).end();
    });
    const result = await backendTo(server, { transport }).batchDelete!.deleteMany('bucket', ['a', 'b'], noContext);
    expect(result).toEqual({ deleted: ['a', 'b'], errors: [] });
    expect(alone.map((url) => new URL(url, server.endpoint).pathname).sort()).toEqual(['/bucket/a', '/bucket/b']);
  });

  it('of versions is of these also when they are deleted one by one', async () => {
    const server = await serve((request, response) =>
      request.method === 'POST' ? refusal(501, 'NotImplemented')(request, response) : response.writeHead(204).end(),
    );
    const store = openStore({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', transport });
    open.push(() => store.connection.close());
    const versions = ['1', '2'].map((versionId) => ({ key: 'a', versionId }));
    expect(await deleteBatch(store, 'bucket', versions, noContext)).toEqual([]);
    const deleted = server.requests.filter(({ method }) => method === 'DELETE').map(({ url = '' }) => new URL(url, server.endpoint));
    expect(deleted.map(({ searchParams }) => searchParams.get('versionId')).toSorted()).toEqual(['1', '2']);
  });

  it('does not apply the refusal of one key to others', async () => {
    const failing = ['a', 'b'].map((key) => `<Error><Key>${key}</Key><Code>InternalError</Code><Message>Try again</Message></Error>`);
    const server = await refusing('/bucket/a', failing.join(''));
    const { deleted, errors } = await backendTo(server, { transport }).batchDelete!.deleteMany('bucket', ['a', 'b'], noContext);
    expect(deleted).toEqual(['b']);
    expect(errors).toMatchObject([{ key: 'a', code: 'access_denied' }]);
  });

  it.each(['<Key>%C3%A9</Key>', ''])(
    'does not trust an answer with a failure of a key that was not requested, and deletes one by one: %s',
    async (named) => {
      const failed = `<Error>${named}<Code>AccessDenied</Code><Message>No</Message></Error>`;
      const server = await refusing('/bucket/%C3%A9', failed);
      const { deleted, errors } = await backendTo(server, { transport }).batchDelete!.deleteMany('bucket', ['a', 'é'], noContext);
      expect(deleted).toEqual(['a']);
      expect(errors).toMatchObject([{ key: 'é', code: 'access_denied' }]);
    },
  );
});

const minio = await ifAvailable(startS3('minio'));

it.skipIf(typeof minio === 'string').each(transports)(
  'a batch with "a//b" does not delete "a/b" on MinIO, whatever the credentials may find out about it (%s)',
  async (transport) => {
    if (typeof minio === 'string') throw new Error(minio);
    const { backend: direct, bucket, stop } = await startOn({ ...(await accountOn(minio)), transport });
    const account = await behindFront(minio, (method) =>
      method === 'PUT' ? { status: 403, body: errorDocument('AccessDenied') } : undefined,
    );
    const backend = s3Backend({ ...account, transport });
    onTestFinished(async () => {
      await backend.close();
      await direct.close?.();
      await stop();
    });
    for (const key of ['a/b', 'c'])
      await direct.put({ bucket, key }, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, noContext);
    const { deleted, errors } = await backend.batchDelete!.deleteMany(bucket, ['a//b', 'c'], noContext);
    expect(deleted).toEqual(['c']);
    expect(errors).toMatchObject([{ key: 'a//b', code: 'invalid_key' }]);
    expect((await direct.list(bucket, {}, noContext)).objects.map(({ key }) => key)).toEqual(['a/b']);
  },
);
