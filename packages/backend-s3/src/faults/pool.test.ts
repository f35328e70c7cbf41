import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, readAll } from '@coffer/storage-core';
import type { CallContext, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { inParallel } from '../concurrency.ts';
import type { S3BackendOptions } from '../options.ts';
import { awsProfile } from '../profile.ts';
import { answerOf } from '../testing/answers.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';
import type { SeenRequest } from '../testing/proxy.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(12 * 2 ** 20);
/** The large object lasts as long as its readers wait for it, and none of them has used up its turn. */
const drip = { bytes: 1024, ms: 100 };
const fifty = Array.from({ length: 50 }, (_, index) => index);

describe.each(transports)('the sockets to the provider (%s)', (transport) => {
  const bench = faultBench(transport);
  const open = async (backend: StorageBackend, key = 'large', signal?: AbortSignal): Promise<Readable> =>
    ((await backend.get(bench.at(key), {}, signal === undefined ? noContext : { signal })) as ObjectStream).body;

  beforeAll(async () => {
    await bench.direct.put(bench.at('small'), { kind: 'buffer', data: small }, options, noContext);
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
  });

  it.each([1, 4])('are never more than %i at once, and all of them are used, under 50 puts, gets and heads', async (maxPoolConnections) => {
    const backend = bench.through({ maxPoolConnections, timeout: 20 });
    bench.proxy.faults.drip = { bytes: 4096, ms: 1 };
    await Promise.all(
      fifty.flatMap((index) => [
        backend.put(bench.at(`many ${index % 7}`), { kind: 'buffer', data: small }, options, noContext),
        open(backend, 'small').then(readAll),
        backend.head(bench.at('small'), noContext),
      ]),
    );
    expect(bench.proxy.mostConnections()).toBe(maxPoolConnections);
    expect(bench.proxy.requests).toHaveLength(150);
  });

  it('are enough for uploads by parts beside each other, however few', async () => {
    const backend = bench.through({ maxPoolConnections: 2, timeout: 20 });
    await Promise.all(['a', 'b'].map((key) => backend.put(bench.at(key), { kind: 'buffer', data: large }, options, noContext)));
    expect(bench.proxy.mostConnections()).toBe(2);
  });

  it('are kept: calls one after the other need one', async () => {
    const backend = bench.through();
    for (let turn = 0; turn < 5; turn++) {
      await backend.put(bench.at('kept'), { kind: 'buffer', data: small }, options, noContext);
      await readAll(await open(backend, 'small'));
      await backend.head(bench.at('small'), noContext);
      await expect(backend.head(bench.at('none'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
      await expect(backend.get(bench.at('none'), {}, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    }
    expect(bench.proxy.mostConnections()).toBe(1);
  });

  it('are not used up by bodies that nobody reads, even if there are two', async () => {
    const backend = bench.through({ maxPoolConnections: 2, timeout: 2 });
    const forgotten = [await open(backend)];
    await backend.put(bench.at('other'), { kind: 'buffer', data: small }, options, noContext);
    await backend.head(bench.at('other'), noContext);
    // The next reader waits until one of the forgotten bodies is given up.
    expect((await readAll(await open(backend, 'small'))).toString()).toBe('small');
    await eventually(() => forgotten.map(({ errored }) => errored)).toEqual(
      forgotten.map(() => expect.objectContaining({ code: 'read_timeout' }) as unknown),
    );
    await eventually(() => bench.proxy.connections()).toBeLessThanOrEqual(1);
  });

  it('are not used up by one tenant once there is another', async () => {
    const backend = bench.through({ maxPoolConnections: 5, timeout: 20 });
    const openFor = async (tenant: string, key: string): Promise<Readable> =>
      ((await backend.get(bench.at(key), {}, { tenant })) as ObjectStream).body;
    bench.proxy.faults.drip = drip;
    await readAll(await openFor('globex', 'small'));
    const held = [await openFor('acme', 'large'), await openFor('acme', 'large'), await openFor('acme', 'large')];
    for (const body of held) body.resume();
    const more = openFor('acme', 'small');
    expect((await readAll(await openFor('globex', 'small'))).toString()).toBe('small');
    expect(await Promise.race([more.then(() => 'served'), delay(200, 'waits')])).toBe('waits');
    held[0]!.destroy();
    expect((await readAll(await more)).toString()).toBe('small');
    for (const body of held) body.destroy();
  });

  it.each<[string, (backend: StorageBackend, ctx: CallContext) => Promise<unknown>]>([
    ['has written', (backend, ctx) => backend.put(bench.at('theirs'), { kind: 'buffer', data: small }, options, ctx)],
    ['has looked at something', (backend, ctx) => backend.head(bench.at('small'), ctx)],
    ['was given a URL', (backend, ctx) => backend.presign!.download(bench.at('small'), { expiresIn: 60 }, ctx)],
  ])('are not used up by one tenant once another one %s', async (_, call) => {
    const backend = bench.through({ maxPoolConnections: 5, timeout: 20 });
    await call(backend, { tenant: 'globex' });
    bench.proxy.faults.drip = drip;
    const read = async (): Promise<Readable> =>
      ((await backend.get(bench.at('large'), {}, { tenant: 'acme' })) as ObjectStream).body.resume();
    const acme = fifty.slice(0, 6).map(read);
    const held = await Promise.all(acme.slice(0, 3));
    const theirs = (await backend.get(bench.at('small'), {}, { tenant: 'globex' })) as ObjectStream;
    expect((await readAll(theirs.body)).toString()).toBe('small');
    for (const body of held) body.destroy();
    for (const body of await Promise.all(acme.slice(3))) body.destroy();
  });

  type Bulk = (backend: StorageBackend, index: number, ctx: CallContext) => Promise<unknown>;
  const copy: Bulk = (backend, index, ctx) => backend.copy(bench.at('large'), bench.at(`copy ${index}`), {}, ctx);
  const remove: Bulk = (backend, index, ctx) =>
    backend.batchDelete!.deleteMany(
      bench.bucket,
      fifty.map((number) => `${index}/${number}`),
      ctx,
    );
  it.each<[string, Bulk, S3BackendOptions]>([
    ['large objects that the server copies in one request', copy, {}],
    ['large objects that the server copies by parts', copy, { copyByPartsFrom: 2 ** 20 }],
    ['deletions of many objects', remove, {}],
  ])('are not used up by %s', async (_, bulk, by) => {
    const backend = bench.through({ maxPoolConnections: 6, timeout: 20, ...by });
    const leaving = new AbortController();
    const { signal } = leaving;
    const isBulk = ({ target, headers }: SeenRequest): boolean =>
      /[?&]delete/.test(target) || headers['x-amz-copy-source']?.endsWith('/large') === true;
    const underWay = (): number => bench.proxy.requests.filter(isBulk).length;
    bench.proxy.faults.answer = (request) => (isBulk(request) ? 'silence' : undefined);
    await backend.put(bench.at('beside'), { kind: 'buffer', data: small }, options, { tenant: 'globex' });
    const held = fifty.slice(0, 6).map((index) => bulk(backend, index, { tenant: 'acme', signal }));
    await eventually(underWay).toBe(2);
    held.push(bulk(backend, 6, { tenant: 'globex', signal }));
    await eventually(underWay).toBe(3);
    // Neither those that read and write, nor small copies and deletions, wait for one of these.
    for (const tenant of ['acme', 'globex']) {
      await backend.put(bench.at('beside'), { kind: 'buffer', data: small }, options, { tenant });
      const { body } = (await backend.get(bench.at('beside'), {}, { tenant })) as ObjectStream;
      expect((await readAll(body)).toString()).toBe('small');
      await backend.copy(bench.at('beside'), bench.at('beside too'), {}, { tenant });
      await backend.delete(bench.at('beside too'), { tenant });
    }
    expect(underWay()).toBe(3);
    leaving.abort();
    for (const ended of await Promise.allSettled(held)) expect(ended.status).toBe('rejected');
  });

  const manyBulkRequests: [string, Bulk, S3BackendOptions][] = [
    ['the parts of one large copy', copy, { copyByPartsFrom: 2 ** 20 }],
    [
      'the batches of one deletion',
      async (backend, index, ctx) => {
        const keys = Array.from({ length: 1000 }, (_, number) => `${index}/${number}`);
        expect(await backend.batchDelete!.deleteMany(bench.bucket, keys, ctx)).toEqual({ deleted: keys, errors: [] });
      },
      {},
    ],
    [
      'the batches of one forced deletion',
      async (backend, index, ctx) => {
        const bucket = `${bench.bucket}-${index}`;
        await bench.direct.buckets!.create(bucket, {}, noContext);
        const keys = Array.from({ length: 600 }, (_, number) => `${number}`);
        await inParallel(keys, 16, (key) => bench.direct.put({ bucket, key }, { kind: 'buffer', data: small }, options, noContext));
        await backend.buckets!.delete(bucket, { force: true }, ctx);
      },
      {},
    ],
  ];
  it.each(manyBulkRequests)('are not waited for by %s in vain: those that are under way may have to be repeated', async (_, bulk, by) => {
    const backend = bench.through({ maxPoolConnections: 4, timeout: 3, maxRetries: 2, ...by });
    let asked = 0;
    bench.proxy.faults.answer = ({ target, headers }) => {
      const isBulk = /[?&]delete/.test(target) || headers['x-amz-copy-source'] !== undefined;
      return isBulk && ++asked <= 2 ? 'silence' : undefined;
    };
    await bulk(backend, 0, noContext);
    expect(asked).toBeGreaterThan(3);
  });

  it.each(manyBulkRequests)('are not waited for by %s in vain once another tenant comes, who gets a share', async (_, bulk, by) => {
    const backend = bench.through({ maxPoolConnections: 4, timeout: 3, maxRetries: 2, ...by });
    let asked = 0;
    let second: Promise<unknown> | undefined;
    bench.proxy.faults.answer = ({ target, headers }) => {
      if (!/[?&]delete/.test(target) && headers['x-amz-copy-source'] === undefined) return undefined;
      if (++asked === 2) second = backend.head(bench.at('small'), { tenant: 'globex' });
      return asked === 2 || asked === 3 ? 'silence' : undefined;
    };
    await bulk(backend, 1, { tenant: 'acme' });
    await second;
    expect(asked).toBeGreaterThan(3);
  });

  it('are not used up by slow uploads that have to be streamed for their conditions', async () => {
    const backend = bench.through({ maxPoolConnections: 6, timeout: 20 }, { profile: { ...awsProfile, conditionalComplete: false } });
    const leaving = new AbortController();
    const { signal } = leaving;
    const streamed = (): number => bench.proxy.count('PUT', '/streamed');
    const held = fifty.slice(0, 6).map((index) => {
      const stream = new Readable({ read() {} });
      stream.push(small);
      const body = { kind: 'stream', stream, size: large.length } as const;
      return backend.put(bench.at(`streamed ${index}`), body, { ...options, ifNoneMatch: '*' }, { signal });
    });
    await eventually(streamed).toBe(3);
    await backend.put(bench.at('beside'), { kind: 'buffer', data: small }, options, noContext);
    expect((await readAll(await open(backend, 'beside'))).toString()).toBe('small');
    expect(streamed()).toBe(3);
    leaving.abort();
    for (const ended of await Promise.allSettled(held)) expect(ended.status).toBe('rejected');
  });

  it('are all for the large copies of a command, which has nobody to leave them to', async () => {
    const backend = bench.through({ maxPoolConnections: 6, timeout: 20, patient: true });
    const leaving = new AbortController();
    const isCopy = ({ headers }: SeenRequest): boolean => headers['x-amz-copy-source'] !== undefined;
    bench.proxy.faults.answer = (request) => (isCopy(request) ? 'silence' : undefined);
    const held = fifty.slice(0, 6).map((index) => copy(backend, index, { signal: leaving.signal }));
    await eventually(() => bench.proxy.requests.filter(isCopy).length).toBe(6);
    leaving.abort();
    for (const ended of await Promise.allSettled(held)) expect(ended.status).toBe('rejected');
  });

  it('are given back by readers who stop', async () => {
    const backend = bench.through({ maxPoolConnections: 2, timeout: 1 });
    const body = await open(backend);
    const iterator = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    await iterator.next();
    await eventually(() => body.destroyed).toBe(true);
    const rest = async (): Promise<void> => {
      while ((await iterator.next()).done !== true);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'read_timeout' });
    await eventually(() => bench.proxy.connections()).toBe(0);
  });

  it('are kept by readers who are slow', async () => {
    const backend = bench.through({ maxPoolConnections: 1, timeout: 1 });
    const body = await open(backend);
    const chunks: Buffer[] = [];
    let reads = 0;
    for await (const chunk of body) {
      chunks.push(chunk as Buffer);
      // Also at the end, when the server has sent everything and a whole buffer is left.
      if (++reads % 60 === 0) await delay(300);
    }
    expect(Buffer.concat(chunks).equals(large)).toBe(true);
  });

  it('are given back when an answer is not what was asked for', async () => {
    const backend = bench.through({ maxPoolConnections: 1, timeout: 10 });
    const range = { start: 0, end: 9 };
    // A server without ranges, and a body that does not end by itself.
    bench.proxy.faults.answer = () => answerOf(200, { 'content-length': '1000000', etag: '"x"' });
    await expect(backend.get(bench.at('large'), { range }, noContext)).rejects.toMatchObject({ code: 'not_supported' });
    bench.proxy.faults.answer = () => undefined;
    expect((await backend.head(bench.at('large'), noContext)).size).toBe(large.length);
  });

  it('are given back by clients who leave', async () => {
    const backend = bench.through({ maxPoolConnections: 2 });
    for (let turn = 0; turn < 20; turn++) {
      const cancel = new AbortController();
      const body = await open(backend, 'large', cancel.signal);
      if (turn % 2 === 0) cancel.abort();
      else body.destroy();
    }
    expect((await backend.head(bench.at('large'), noContext)).size).toBe(large.length);
    await eventually(() => bench.proxy.connections()).toBeLessThanOrEqual(1);
    expect(bench.proxy.mostConnections()).toBeLessThanOrEqual(2);
  });
});

describe.each(transports)('a reader who takes little at a time (%s)', (transport) => {
  const bench = faultBench(transport);

  it('is not idle, also when all that is left is in memory', async () => {
    const data = randomBytes(60_000);
    await bench.direct.put(bench.at('sips'), { kind: 'buffer', data }, options, noContext);
    const { body } = (await bench.through({ timeout: 1 }).get(bench.at('sips'), {}, noContext)) as ObjectStream;
    await new Promise((resolve) => body.once('readable', resolve));
    const sips: Buffer[] = [];
    for (let turn = 0; turn < 4; turn++) {
      await delay(400);
      sips.push(body.read(8000) as Buffer);
    }
    const rest = await readAll(body);
    expect(Buffer.concat([...sips, rest]).equals(data)).toBe(true);
  });
});
