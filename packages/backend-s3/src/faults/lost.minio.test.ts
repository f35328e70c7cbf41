import { hash, randomBytes } from 'node:crypto';

import { PutBucketEncryptionCommand } from '@aws-sdk/client-s3';
import { kmsKey, startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { awsProfile } from '../profile.ts';
import { answerOf, refusalOf } from '../testing/answers.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';
import type { FaultBench } from '../testing/fault-bench.ts';
import { ifAvailable, sdkOn } from '../testing/server.ts';

const options = { contentType: 'text/plain', metadata: { by: 'us', of: 'all' } };
const bodies = { 'a small object': randomBytes(1000), 'an object of parts': randomBytes(9 * 2 ** 20) };
const cases = Object.entries(bodies);

const minio = await ifAvailable(startS3('minio'));

/** Loses the answer to the first request that creates the object, and has the second one refused, which leaves the doubt. */
function loseAnswerTo({ bucket, proxy }: FaultBench, key: string): void {
  let asked = 0;
  proxy.faults.answer = ({ method, target }) => {
    const isPut = method === 'PUT' && target.startsWith(`/${bucket}/${key}`) && !target.includes('partNumber=');
    const isLast = isPut || (method === 'POST' && target.includes('uploadId='));
    if (!isLast) return undefined;
    asked++;
    if (asked === 1) proxy.faults.cutAfter = 10;
    else delete proxy.faults.cutAfter;
    return asked === 2 ? answerOf(503) : undefined;
  };
}

describe.skipIf(typeof minio === 'string').each(transports)('a write that succeeded although its answer got lost (%s)', (transport) => {
  const bench = faultBench(transport, () => startS3('minio'));

  const loseAnswer = (key: string): void => loseAnswerTo(bench, key);

  it.each(cases)('does not fail its If-None-Match: %s', async (name, data) => {
    const at = bench.at(`absent-${data.length}`);
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswer(at.key);
    const info = await backend.put(at, { kind: 'buffer', data }, { ...options, ifNoneMatch: '*' }, noContext);
    expect(info, name).toMatchObject({ etag: (await bench.direct.head(at, noContext)).etag, size: data.length });
  });

  it.each(cases)('does not fail its If-Match: %s', async (name, data) => {
    const at = bench.at(`matched-${data.length}`);
    const before = await bench.direct.put(at, { kind: 'buffer', data: Buffer.from('before') }, options, noContext);
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswer(at.key);
    const info = await backend.put(at, { kind: 'buffer', data }, { ...options, ifMatch: before.etag }, noContext);
    expect(info, name).toMatchObject({ etag: (await bench.direct.head(at, noContext)).etag, size: data.length });
  });

  it.each(['by the provider', 'through here'])('does not fail its If-None-Match: a copy %s', async (way) => {
    const source = bench.at('source of copies');
    await bench.direct.put(source, { kind: 'buffer', data: bodies['a small object'] }, options, noContext);
    const at = bench.at(`copied ${way}`);
    const profile = { ...awsProfile, acl: false, conditionalCopy: way === 'by the provider' };
    const backend = bench.through({ maxRetries: 2 }, { profile });
    loseAnswer(encodeURI(at.key));
    const info = await backend.copy(source, at, { ifNoneMatch: '*' }, noContext);
    expect(info).toMatchObject({ etag: (await bench.direct.head(at, noContext)).etag, size: 1000, metadata: { by: 'us' } });
  });

  it.each([false, true])('does not fail with no_such_bucket: the deletion of a bucket (force %s)', async (force) => {
    const bucket = `${bench.bucket}-${force}`;
    await bench.direct.buckets!.create(bucket, {}, noContext);
    let asked = 0;
    bench.proxy.faults.answer = ({ method, target }) => {
      if (method !== 'DELETE' || !target.startsWith(`/${bucket}`)) return undefined;
      asked++;
      if (asked === 1) bench.proxy.faults.cutAfter = 10;
      else delete bench.proxy.faults.cutAfter;
      return undefined;
    };
    await bench.through({ maxRetries: 2 }, { profile: awsProfile }).buckets!.delete(bucket, { force }, noContext);
    expect(asked).toBe(2);
    await expect(bench.direct.buckets!.head(bucket, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
    await expect(bench.direct.buckets!.delete(bucket, { force }, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
  });

  it.each([
    ['the server itself', answerOf(500), 'precondition_failed'],
    ['a busy server', answerOf(503), 'precondition_failed'],
    ['a busy server, in words', refusalOf(503, 'SlowDown', 'PUT', { 'content-type': 'application/xml' }), 'precondition_failed'],
    ['a gateway before it', answerOf(504), undefined],
    ['Cloudflare before it', answerOf(520, { 'content-type': 'text/html' }), undefined],
    ['Envoy before it', answerOf(503, { 'content-type': 'text/plain' }, 'upstream connect error or disconnect/reset'), undefined],
  ])(
    'is assumed only if the first answer leaves doubt, because somebody else may have written the same bytes: %s',
    async (who, answer, code) => {
      const data = bodies['a small object'];
      const at = bench.at(`raced with ${who}`);
      const before = await bench.direct.put(at, { kind: 'buffer', data: Buffer.from('before') }, options, noContext);
      const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
      // Somebody else writes the same bytes meanwhile.
      await bench.direct.put(at, { kind: 'buffer', data }, options, noContext);
      let asked = 0;
      bench.proxy.faults.answer = ({ method }) => (method === 'PUT' && asked++ === 0 ? { ...answer, thenCut: true } : undefined);
      const put = backend.put(at, { kind: 'buffer', data }, { ...options, ifMatch: before.etag }, noContext);
      if (code === undefined) expect(await put).toMatchObject({ size: data.length });
      else await expect(put).rejects.toMatchObject({ code });
      expect(asked).toBe(2);
    },
  );

  it('is not assumed after connections that were refused', async () => {
    const data = bodies['a small object'];
    const at = bench.at('refused');
    await bench.direct.put(at, { kind: 'buffer', data }, options, noContext); // by somebody else
    await bench.proxy.down();
    const backend = bench.through({ maxRetries: 9 }, { profile: awsProfile });
    const put = backend.put(at, { kind: 'buffer', data }, { ...options, ifNoneMatch: '*' }, noContext);
    setTimeout(() => void bench.proxy.up(), 100);
    await expect(put).rejects.toMatchObject({ code: 'precondition_failed' });
  });

  describe.each(cases)('is not confused with an object of somebody else: %s', (name, data) => {
    it.each([
      ['other bytes', Buffer.from('theirs'), {}],
      ['the same bytes, from somebody else', data, { metadata: { by: 'them', of: 'all' } }],
      ['the same bytes, of another type', data, { contentType: 'text/css' }],
    ])('%s', async (_what, theirs, described) => {
      const at = bench.at(`theirs-${theirs.length} for ${data.length}`);
      await bench.direct.put(at, { kind: 'buffer', data: theirs }, { ...options, ...described }, noContext);
      const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
      loseAnswer(encodeURI(at.key));
      const put = backend.put(at, { kind: 'buffer', data }, { ...options, ifNoneMatch: '*' }, noContext);
      await expect(put, name).rejects.toMatchObject({ code: 'precondition_failed' });
    });
  });

  it('is in doubt, and not refused, if the object cannot be looked at', async () => {
    const at = bench.at('unseen');
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswer(at.key);
    const lose = bench.proxy.faults.answer!;
    bench.proxy.faults.answer = (request) => (request.method === 'HEAD' ? answerOf(503) : lose(request));
    const put = backend.put(at, { kind: 'buffer', data: bodies['a small object'] }, { ...options, ifNoneMatch: '*' }, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it('does not fail without a condition either: a multipart upload that is gone after its completion', async () => {
    const at = bench.at('unconditional');
    const data = bodies['an object of parts'];
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswer(at.key);
    const info = await backend.put(at, { kind: 'buffer', data }, options, noContext);
    expect(info).toMatchObject({ etag: (await bench.direct.head(at, noContext)).etag, size: data.length });
  });

  it.each(cases)('reports its version id: %s', async (_name, data) => {
    const at = bench.at(`version-${data.length}`);
    const { versioning } = bench.direct;
    await versioning!.setVersioning(bench.bucket, true, noContext);
    onTestFinished(() => versioning!.setVersioning(bench.bucket, false, noContext));
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswer(at.key);
    const { versionId } = await backend.put(at, { kind: 'buffer', data }, { ...options, ifNoneMatch: '*' }, noContext);
    expect(versionId).toEqual(expect.any(String));
    expect(versionId).toBe((await bench.direct.head(at, noContext)).versionId);
  });

  it('is not assumed if the upload is gone and there is no object', async () => {
    bench.proxy.faults.answer = ({ method, target }) =>
      method === 'POST' && target.includes('uploadId=') ? refusalOf(404, 'NoSuchUpload', method) : undefined;
    const put = bench.through().put(bench.at('nothing'), { kind: 'buffer', data: bodies['an object of parts'] }, options, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(await bench.leftovers()).toEqual([]);
  });

  it('is not assumed if the upload is gone and the object has other bytes', async () => {
    const at = bench.at('upload that is gone');
    await bench.direct.put(at, { kind: 'buffer', data: Buffer.from('theirs') }, options, noContext);
    bench.proxy.faults.answer = ({ method, target }) =>
      method === 'POST' && target.includes('uploadId=') ? refusalOf(404, 'NoSuchUpload', method) : undefined;
    const put = bench.through().put(at, { kind: 'buffer', data: bodies['an object of parts'] }, options, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect((await bench.direct.head(at, noContext)).size).toBe(6);
    expect(await bench.leftovers()).toEqual([]);
  });

  it('is not assumed if the upload is gone and the same bytes are described otherwise', async () => {
    const at = bench.at('bytes that are there');
    const body = { kind: 'buffer', data: bodies['an object of parts'] } as const;
    await bench.direct.put(at, body, { ...options, metadata: { by: 'us before' } }, noContext);
    bench.proxy.faults.answer = ({ method, target }) =>
      method === 'POST' && target.includes('uploadId=') ? refusalOf(404, 'NoSuchUpload', method) : undefined;
    await expect(bench.through().put(at, body, options, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect((await bench.direct.head(at, noContext)).metadata).toEqual({ by: 'us before' });
  });
});

const isEncrypting = typeof minio !== 'string' && !minio.external;

describe.skipIf(!isEncrypting).each(transports)('the same in a bucket that KMS encrypts, where no ETag is an MD5 (%s)', (transport) => {
  const bench = faultBench(transport, () => startS3('minio'));
  beforeAll(async () => {
    const { client, close } = sdkOn(bench.account);
    const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: kmsKey.name } } as const;
    const encryption = { Bucket: bench.bucket, ServerSideEncryptionConfiguration: { Rules: [rule] } };
    await client.send(new PutBucketEncryptionCommand(encryption));
    close();
  });
  const [data, other] = [bodies['a small object'], randomBytes(1000)];

  it.each(cases)('does not fail its If-None-Match: %s', async (_name, bytes) => {
    const at = bench.at(`absent-${bytes.length}`);
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswerTo(bench, at.key);
    const info = await backend.put(at, { kind: 'buffer', data: bytes }, { ...options, ifNoneMatch: '*' }, noContext);
    expect(info).toMatchObject({ etag: (await bench.direct.head(at, noContext)).etag, size: bytes.length });
    expect(info.etag).not.toBe(hash('md5', bytes));
  });

  it('does not fail its If-Match', async () => {
    const at = bench.at('matched');
    const before = await bench.direct.put(at, { kind: 'buffer', data: other }, options, noContext);
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswerTo(bench, at.key);
    const info = await backend.put(at, { kind: 'buffer', data }, { ...options, ifMatch: before.etag }, noContext);
    expect(info.etag).toBe((await bench.direct.head(at, noContext)).etag);
  });

  it('is not confused with other bytes of the same size', async () => {
    const at = bench.at('theirs');
    await bench.direct.put(at, { kind: 'buffer', data: other }, options, noContext);
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswerTo(bench, at.key);
    const put = backend.put(at, { kind: 'buffer', data }, { ...options, ifNoneMatch: '*' }, noContext);
    await expect(put).rejects.toMatchObject({ code: 'precondition_failed' });
  });

  it('is in doubt, and not refused, if the object cannot be read', async () => {
    const at = bench.at('unread');
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswerTo(bench, at.key);
    const lose = bench.proxy.faults.answer!;
    bench.proxy.faults.answer = (request) => (request.method === 'GET' ? answerOf(503) : lose(request));
    const put = backend.put(at, { kind: 'buffer', data }, { ...options, ifNoneMatch: '*' }, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it('is in doubt, and not refused: a copy of an object onto itself, which nothing tells from one by somebody else', async () => {
    const at = bench.at('itself');
    await bench.direct.put(at, { kind: 'buffer', data }, options, noContext);
    const backend = bench.through({ maxRetries: 2 }, { profile: awsProfile });
    loseAnswerTo(bench, at.key);
    const copy = (): Promise<unknown> => backend.copy(at, at, { storageClass: 'REDUCED_REDUNDANCY' }, noContext);
    await expect(copy()).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(await copy()).toMatchObject({ storageClass: 'REDUCED_REDUNDANCY' });
  });
});
