import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import { noContext } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { answerOf, refusalOf } from '../testing/answers.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';
import type { Reply, SeenRequest } from '../testing/proxy.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(9 * 2 ** 20);

type Call = (backend: StorageBackend) => Promise<unknown>;

const slowDown = ({ method }: SeenRequest): Reply => refusalOf(503, 'SlowDown', method, { 'retry-after': '0' });

describe.each(transports)('when the server throttles (%s)', (transport) => {
  const bench = faultBench(transport);
  const put: Call = (backend) => backend.put(bench.at('put'), { kind: 'buffer', data: small }, options, noContext);
  const calls: readonly [string, Call, string, string][] = [
    ['put', put, 'PUT', '/put'],
    [
      'put of a stream',
      (backend) =>
        backend.put(bench.at('stream'), { kind: 'stream', stream: Readable.from([small], { objectMode: false }) }, options, noContext),
      'PUT',
      '/stream',
    ],
    ['get', (backend) => backend.get(bench.at('get'), {}, noContext), 'GET', '/get'],
    ['head', (backend) => backend.head(bench.at('head'), noContext), 'HEAD', '/head'],
    ['list', (backend) => backend.list(bench.bucket, { maxKeys: 1 }, noContext), 'GET', 'list-type'],
    ['delete', (backend) => backend.delete(bench.at('delete'), noContext), 'DELETE', '/delete'],
  ];

  it.each([0, 1, 2])('every call is repeated %i times, then fails with the time to wait', async (maxRetries) => {
    bench.proxy.faults.answer = slowDown;
    const backend = bench.through({ maxRetries });
    const results = await Promise.allSettled(calls.map(async ([, call]) => call(backend)));
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'storage_unavailable', retryable: true, retryAfter: 1 } });
    }
    expect(calls.map(([, , method, part]) => bench.proxy.count(method, part))).toEqual(calls.map(() => maxRetries + 1));
  });

  it('a part is retried as often, and a failed upload leaves nothing', async () => {
    bench.proxy.faults.answer = (request) => (/partNumber=2&/.test(request.target) ? slowDown(request) : undefined);
    const upload = bench.through({ maxRetries: 1 }).put(bench.at('parts'), { kind: 'buffer', data: large }, options, noContext);
    await expect(upload).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(bench.proxy.count('PUT', 'partNumber=2&')).toBe(2);
    expect(await bench.leftovers()).toEqual([]);
  });

  it('an upload whose part fails does not wait for a client that sends nothing more', async () => {
    bench.proxy.faults.answer = (request) => (/partNumber=2&/.test(request.target) ? slowDown(request) : undefined);
    const stream = new Readable({ read: () => {} });
    stream.push(Buffer.concat([large, large]));
    const upload = bench.through({ maxRetries: 0 }).put(bench.at('idle'), { kind: 'stream', stream }, options, noContext);
    await expect(upload).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(stream.destroyed).toBe(true);
    expect(await bench.leftovers()).toEqual([]);
  });

  it('the retries of the adaptive mode are counted alike', async () => {
    bench.proxy.faults.answer = slowDown;
    await expect(put(bench.through({ maxRetries: 1, retryMode: 'adaptive' }))).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(bench.proxy.count('PUT')).toBe(2);
  });

  it.each(['standard', 'adaptive'] as const)('a call succeeds once the server does (%s)', async (retryMode) => {
    bench.proxy.faults.answer = (request) => (bench.proxy.count('PUT') === 1 ? slowDown(request) : undefined);
    await put(bench.through({ maxRetries: 2, retryMode }));
    expect(bench.proxy.count('PUT')).toBe(2);
    expect((await bench.direct.head(bench.at('put'), noContext)).size).toBe(small.length);
  });

  it('a retry waits as long as the server says', async () => {
    const retryAfter = { 'retry-after': '2' };
    bench.proxy.faults.answer = ({ method }) => refusalOf(503, 'SlowDown', method, retryAfter);
    await expect(put(bench.through({ maxRetries: 1 }))).rejects.toMatchObject({ code: 'storage_unavailable', retryAfter: 2 });
    const [first, second] = bench.proxy.requests;
    expect(second!.at - first!.at).toBeGreaterThan(1900);
  });

  it.each<[string, string, Reply]>([
    ['500', 'InternalError', refusalOf(500, 'InternalError', 'PUT')],
    ['503 with a page of a proxy', '', answerOf(503, { 'content-type': 'text/html' }, '<html><body><h1>503</h1><hr></body></html>')],
    ['502 without words', '', answerOf(502)],
    ['504 without words', '', answerOf(504)],
    ['524 of Cloudflare', '', answerOf(524, { 'content-type': 'text/html' }, '<html><body>A timeout occurred</body></html>')],
    ['429 of a gateway', 'TooManyRequestsException', refusalOf(429, 'TooManyRequestsException', 'PUT')],
  ])('%s is storage_unavailable, after its retries', async (_name, _code, answer) => {
    bench.proxy.faults.answer = () => answer;
    await expect(put(bench.through({ maxRetries: 1 }))).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(bench.proxy.count('PUT')).toBe(2);
  });

  it('a deletion in several requests reports what failed and what was deleted', async () => {
    const keys = Array.from({ length: 600 }, (_, index) => `batch/${String(index).padStart(3, '0')}`);
    await bench.direct.put(bench.at('batch/000'), { kind: 'buffer', data: small }, options, noContext);
    const refused = new Set([2]);
    bench.proxy.faults.answer = (request) =>
      refused.has(bench.proxy.count('POST')) ? refusalOf(403, 'InvalidAccessKeyId', request.method) : undefined;
    const { deleted, errors } = await bench.through().batchDelete!.deleteMany(bench.bucket, keys, noContext);
    expect([deleted.length + errors.length, new Set([...deleted, ...errors.map(({ key }) => key)]).size]).toEqual([600, 600]);
    expect([100, 250]).toContain(errors.length);
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['access_denied']));
    for (let request = 1; request < 20; request++) refused.add(request);
    await expect(bench.through().batchDelete!.deleteMany(bench.bucket, keys, noContext)).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('a refusal is not repeated', async () => {
    bench.proxy.faults.answer = ({ method }) => refusalOf(403, 'AccessDenied', method);
    const backend = bench.through({ maxRetries: 3 });
    for (const call of [put, (to: StorageBackend) => to.head(bench.at('head'), noContext)]) {
      await expect(call(backend)).rejects.toMatchObject({ code: 'access_denied', retryable: false });
    }
    expect(bench.proxy.requests).toHaveLength(2);
  });

  it('a stopped caller does not wait for the retry', async () => {
    bench.proxy.faults.answer = ({ method }) => refusalOf(503, 'SlowDown', method, { 'retry-after': '30' });
    const cancel = new AbortController();
    const backend = bench.through({ maxRetries: 3 });
    const stopped = backend.put(bench.at('put'), { kind: 'buffer', data: small }, options, { signal: cancel.signal });
    await eventually(() => bench.proxy.count('PUT')).toBe(1);
    const reason = new Error('enough');
    setTimeout(() => cancel.abort(reason), 50);
    await expect(stopped).rejects.toBe(reason);
  });
});

describe('a bucket that the server throttles (lean)', () => {
  const bench = faultBench('lean');

  it('leaves the others their retries when it has used up its own', async () => {
    const busy = { bucket: `${bench.bucket}-busy`, key: 'put' };
    bench.proxy.faults.answer = (request) =>
      request.target.includes(busy.bucket) || bench.proxy.count('PUT', '/quiet') === 1 ? slowDown(request) : undefined;
    const backend = bench.through({ maxRetries: 1 });
    const putTo = (at: typeof busy): Promise<unknown> => backend.put(at, { kind: 'buffer', data: small }, options, noContext);
    await Promise.allSettled(Array.from({ length: 200 }, () => putTo(busy)));
    expect(bench.proxy.count('PUT', busy.bucket)).toBeLessThan(400); // some had no retry left
    await putTo(bench.at('quiet'));
    expect(bench.proxy.count('PUT', '/quiet')).toBe(2);
  });
});
