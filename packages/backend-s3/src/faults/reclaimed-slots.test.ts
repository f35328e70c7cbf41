import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, readAll } from '@coffer/storage-core';
import type { CallContext, GetOptions, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { s3Backend } from '../backend.ts';
import type { AnswerBody } from '../http/answer-body.ts';
import { openStore } from '../open-store.ts';
import { getObject } from '../read.ts';
import { refusalOf } from '../testing/answers.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';
import type { TransportName } from '../testing/fault-bench.ts';
import { scripted } from '../testing/scripted.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(12 * 2 ** 20);
const unavailable = { code: 'storage_unavailable', retryable: true };

describe.each(transports)('readers that pause (%s)', (transport) => {
  const bench = faultBench(transport);
  const open = async (backend: StorageBackend, key = 'large', get: GetOptions = {}, ctx: CallContext = noContext): Promise<Readable> =>
    ((await backend.get(bench.at(key), get, ctx)) as ObjectStream).body;
  const write = (key: string, data: Buffer): Promise<unknown> =>
    bench.direct.put(bench.at(key), { kind: 'buffer', data }, options, noContext);
  /** One of them is for downloads. */
  const two = { maxPoolConnections: 2, timeout: 20 };

  beforeEach(async () => {
    await write('small', small);
    await write('large', large);
  });

  it('lend their sockets to others, and continue as if nothing had happened', async () => {
    const backend = bench.through(two);
    const range = { start: 1_000_000, end: 11_000_000 };
    const bodies = [await open(backend), await open(backend, 'large', { range }), await open(backend)];
    for (let turn = 0; turn < 3; turn++) expect((await readAll(await open(backend, 'small'))).equals(small)).toBe(true);
    const [first, part, last] = await Promise.all(bodies.map((body) => readAll(body)));
    expect([first!.equals(large), part!.equals(large.subarray(1_000_000, 11_000_001)), last!.equals(large)]).toEqual([true, true, true]);
    expect(bench.proxy.mostConnections()).toBeLessThanOrEqual(2);
    await readAll(await open(backend));
  });

  it('get each byte once, also if they listen for data events', async () => {
    const backend = bench.through(two);
    const body = await open(backend);
    await readAll(await open(backend, 'small'));
    const chunks: Buffer[] = [];
    body.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(body, 'end');
    expect(Buffer.concat(chunks).equals(large)).toBe(true);
    const { range = '' } = bench.proxy.requests.find(({ headers }) => 'range' in headers)?.headers ?? {};
    const [first, last] = range.replace('bytes=', '').split('-').map(Number) as [number, number];
    expect(last + 1 - first).toBe(64 * 1024); // little at first, as the reader was slow
  });

  it('keep them while nobody else wants them', async () => {
    const body = await open(bench.through(two));
    await delay(500);
    expect((await readAll(body)).equals(large)).toBe(true);
    expect(bench.proxy.count('GET')).toBe(1);
  });

  it('share sockets, however many and however slow they are', async () => {
    const backend = bench.through({ maxPoolConnections: 3, timeout: 20 });
    const sip = async (body: Readable): Promise<Buffer> => {
      const chunks: Buffer[] = [];
      let sinceRest = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        sinceRest += chunk.length;
        if (sinceRest < 3_000_000) continue;
        sinceRest = 0;
        await delay(300);
      }
      return Buffer.concat(chunks);
    };
    const all = await Promise.all(Array.from({ length: 8 }, async () => sip(await open(backend))));
    expect(all.every((bytes) => bytes.equals(large))).toBe(true);
    expect(bench.proxy.mostConnections()).toBeLessThanOrEqual(3);
  });

  it('are not the only ones: readers that read all the time take turns', async () => {
    const backend = bench.through(two);
    bench.proxy.faults.drip = { bytes: 64 * 1024, ms: 20 };
    let isOver = false;
    const whole = readAll(await open(backend)).finally(() => (isOver = true));
    const other = readAll(await open(backend));
    expect((await readAll(await open(backend, 'small'))).equals(small)).toBe(true);
    expect(isOver).toBe(false);
    expect((await whole).equals(large)).toBe(true);
    expect((await other).equals(large)).toBe(true);
    expect(bench.proxy.mostConnections()).toBeLessThanOrEqual(2);
    // Who lost its turn, and not its interest, asks for all that is left, and not for a little at a time.
    const ranges = bench.proxy.requests.flatMap(({ headers: { range = [] } }) => range);
    expect(new Set(ranges.map((range) => range.split('-')[1]))).toEqual(new Set([`${large.length - 1}`]));
  });

  it('do not keep sockets from another tenant, whatever their own tenant holds', async () => {
    const backend = bench.through({ maxPoolConnections: 5, timeout: 20 });
    const acme = await Promise.all(Array.from({ length: 8 }, () => open(backend, 'large', {}, { tenant: 'acme' })));
    expect((await readAll(await open(backend, 'small', {}, { tenant: 'globex' }))).equals(small)).toBe(true);
    expect((await readAll(await open(backend, 'small', {}, { tenant: 'acme' }))).equals(small)).toBe(true);
    for (const body of acme) body.destroy();
  });

  it('hold no sockets once everything has arrived', async () => {
    const backend = bench.through(two);
    await write('medium', large.subarray(0, 70_000));
    const body = await open(backend, 'medium');
    await new Promise((resolve) => body.once('readable', resolve));
    body.read(10_000);
    await eventually(() => body.readableLength).toBe(60_000);
    await readAll(await open(backend, 'small'));
    expect((await readAll(body)).equals(large.subarray(10_000, 70_000))).toBe(true);
  });

  it('are not asked for a socket in place of others once everything has arrived', async () => {
    const backend = bench.through(two);
    await write('medium', large.subarray(0, 200_000));
    bench.proxy.faults.drip = { bytes: 64 * 1024, ms: 20 };
    const here = await open(backend, 'medium');
    let left = 200_000;
    here.on('readable', () => {
      // Stops reading when the rest is in memory.
      if (left > 60_000) left -= (here.read() as Buffer | null)?.length ?? 0;
    });
    await delay(1200); // long enough to have had its turn
    let isOver = false;
    const busy = readAll(await open(backend)).finally(() => (isOver = true));
    expect((await readAll(await open(backend, 'small'))).equals(small)).toBe(true);
    expect(isOver).toBe(false); // it has taken its turn
    expect((await busy).equals(large)).toBe(true);
    here.destroy();
  });

  it.each([
    ['all of it has arrived', 65_536, 1], // exactly as much as is buffered for a reader
    ['the rest has arrived at once', 100_000, 2],
  ])('request nothing after the last byte: %s', async (_what, size, requests) => {
    const backend = bench.through(two);
    const all = large.subarray(0, size);
    await write('medium', all);
    bench.proxy.faults.drip = { bytes: 16 * 1024, ms: 1 };
    const body = await open(backend, 'medium');
    await delay(300);
    await readAll(await open(backend, 'small'));
    const first = body.read(60_000) as Buffer;
    await eventually(() => body.readableLength).toBe(size - 60_000);
    await delay(100);
    expect(Buffer.concat([first, await readAll(body)]).equals(all)).toBe(true);
    expect(bench.proxy.count('GET', 'medium')).toBe(requests);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['replaced', () => write('large', randomBytes(large.length))],
    ['deleted', () => bench.direct.delete(bench.at('large'), noContext)],
  ])('never get the bytes of two objects: one that is %s meanwhile ends early', async (_, change) => {
    const backend = bench.through(two);
    const body = await open(backend);
    await readAll(await open(backend, 'small'));
    await change();
    await expect(readAll(body)).rejects.toMatchObject(unavailable);
    await readAll(await open(backend, 'small'));
  });

  it.each<[string, () => Promise<unknown>]>([
    ['replaced', () => write('large', randomBytes(large.length))],
    ['replaced by fewer bytes', () => write('large', small)],
    ['deleted', () => bench.direct.delete(bench.at('large'), noContext)],
  ])('get the rest of one that is %s meanwhile where versions are kept', async (_, change) => {
    const { bucket } = bench.at('large');
    await bench.direct.versioning!.setVersioning(bucket, true, noContext);
    onTestFinished(() => bench.direct.versioning!.setVersioning(bucket, false, noContext));
    await write('large', large);
    const backend = bench.through(two);
    const range = { start: 500_000, end: 11_500_000 };
    const bodies = [await open(backend), await open(backend, 'large', { range }), await open(backend)];
    await readAll(await open(backend, 'small'));
    await change();
    const [first, part, last] = await Promise.all(bodies.map((body) => readAll(body)));
    expect([first!.equals(large), part!.equals(large.subarray(500_000, 11_500_001)), last!.equals(large)]).toEqual([true, true, true]);
    expect(bench.proxy.mostConnections()).toBeLessThanOrEqual(2);
  });

  it('leave nothing behind when they stop', async () => {
    const backend = bench.through({ ...two, timeout: 60 });
    for (const leave of ['destroyed', 'aborted', 'destroyed in the line', 'aborted in the line']) {
      const cancel = new AbortController();
      const body = await open(backend, 'large', {}, { signal: cancel.signal });
      body.on('error', () => {});
      await readAll(await open(backend, 'small'));
      if (leave.endsWith('line')) {
        bench.proxy.faults.frozen = true;
        body.resume();
        await delay(100);
      }
      if (leave.startsWith('destroyed')) body.destroy();
      else cancel.abort();
      await eventually(() => body.destroyed).toBe(true);
      bench.proxy.faults.frozen = false;
    }
    expect((await readAll(await open(backend))).equals(large)).toBe(true);
    await backend.close();
    await eventually(() => bench.proxy.connections()).toBe(0);
  });

  it('leave nothing behind when one stops while it is handed the place of another who stops with it', async () => {
    const backend = bench.through(two);
    const waiting = await open(backend);
    const reading = await open(backend);
    await once(reading, 'readable');
    bench.proxy.faults.frozen = true;
    waiting.resume();
    await eventually(() => waiting.readableLength).toBe(0);
    for (const body of [reading, waiting]) body.destroy();
    bench.proxy.faults.frozen = false;
    expect((await readAll(await open(backend, 'small'))).equals(small)).toBe(true);
  });

  it('fail when their backend is closed, and it makes no more connections', async () => {
    const backend = bench.through({ ...two, maxRetries: 3 });
    await write('medium', large.subarray(0, 70_000));
    const here = await open(backend, 'medium');
    await new Promise((resolve) => here.once('readable', resolve));
    here.read(10_000);
    await eventually(() => here.readableLength).toBe(60_000);
    const lent = await open(backend);
    await readAll(await open(backend, 'small'));
    const fed = await open(backend);
    const seen = bench.proxy.count('GET');
    await backend.close();
    for (const body of [lent, fed]) await expect(readAll(body)).rejects.toMatchObject(unavailable);
    expect((await readAll(here)).equals(large.subarray(10_000, 70_000))).toBe(true);
    await eventually(() => bench.proxy.connections()).toBe(0);
    expect(bench.proxy.count('GET')).toBe(seen);
  });

  it('time out even after their socket was lent', async () => {
    const backend = bench.through({ ...two, timeout: 1 });
    const body = await open(backend);
    await readAll(await open(backend, 'small'));
    await eventually(() => body.errored).toMatchObject({ code: 'read_timeout' });
  });
});

describe.each(transports)('a body whose connection is cut (%s)', (transport) => {
  const bench = faultBench(transport);
  const read = async (backend: StorageBackend, get: GetOptions = {}): Promise<Buffer> =>
    readAll(((await backend.get(bench.at('large'), get, noContext)) as ObjectStream).body);

  beforeEach(async () => {
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
  });

  it('continues over other connections as long as these deliver something, and holds a single place', async () => {
    Object.assign(bench.proxy.faults, { cutBodyAfter: 2_000_000 });
    expect((await read(bench.through({ maxRetries: 1, maxPoolConnections: 1 }))).equals(large)).toBe(true);
    expect(bench.proxy.count('GET')).toBe(7);
    const range = { start: 10, end: 9_000_000 };
    expect((await read(bench.through({ maxRetries: 1 }), { range })).equals(large.subarray(10, 9_000_001))).toBe(true);
    await expect(read(bench.through({ maxRetries: 0 }))).rejects.toMatchObject(unavailable);
  });

  it('waits for its next place as one that has begun, which several tenants do not make brief', async () => {
    Object.assign(bench.proxy.faults, { cutBodyAfter: 5_000_000 });
    const store = openStore({ ...bench.account, transport, endpoint: bench.proxy.endpoint, maxRetries: 1 });
    onTestFinished(() => store.connection.close());
    const taking = vi.spyOn(store.downloads, 'take');
    const { body } = (await getObject(store, bench.at('large'), {}, { tenant: 'acme' })) as ObjectStream;
    expect((await readAll(body)).equals(large)).toBe(true);
    const takers = taking.mock.calls.map(([, { tenant, isResuming = false } = {}]) => [tenant, isResuming]);
    expect(takers).toEqual([
      ['acme', false],
      ['acme', true],
      ['acme', true],
    ]);
  });

  it('fails with what went wrong, and is not asked for again, if its connection was not cut', async () => {
    const { body } = (await bench.through({ maxRetries: 3 }).get(bench.at('large'), {}, noContext)) as ObjectStream;
    (body as AnswerBody).sourceFailed(new TypeError('a mistake of ours'));
    await expect(readAll(body)).rejects.toMatchObject({ code: 'internal_error' });
    expect(bench.proxy.count('GET')).toBe(1);
  });

  it('fails after as many cuts in a row as there are retries if the connections deliver next to nothing', async () => {
    Object.assign(bench.proxy.faults, { cutBodyAfter: 30_000 });
    await expect(read(bench.through({ maxRetries: 2 }))).rejects.toMatchObject(unavailable);
    expect(bench.proxy.count('GET')).toBe(3);
  });

  it('continues also after a reset, which loses bytes in flight', async () => {
    const backend = bench.through({ maxRetries: 3 });
    const { body } = (await backend.get(bench.at('large'), {}, noContext)) as ObjectStream;
    bench.proxy.faults.cut = 'reset';
    body.once('data', () => bench.proxy.cutAll());
    expect((await readAll(body)).equals(large)).toBe(true);
    expect(bench.proxy.count('GET')).toBe(2);
  });

  it.each([
    [412, 'PreconditionFailed'],
    [404, 'NoSuchKey'],
    [404, 'NoSuchBucket'],
    [416, 'InvalidRange'], // MinIO, if the object is now empty, whatever the If-Match
  ])('fails as replaced or deleted if the request for the rest is answered with %i %s', async (status, code) => {
    Object.assign(bench.proxy.faults, { cut: 'reset', cutBodyAfter: 4_000_000 });
    bench.proxy.faults.answer = () => (bench.proxy.count('GET') > 1 ? refusalOf(status, code, 'GET') : undefined);
    await expect(read(bench.through({ maxRetries: 3 }))).rejects.toMatchObject(unavailable);
  });

  it('fails with the error of the request for the rest', async () => {
    Object.assign(bench.proxy.faults, { cut: 'reset', cutBodyAfter: 4_000_000 });
    bench.proxy.faults.answer = () => (bench.proxy.count('GET') > 1 ? refusalOf(403, 'AccessDenied', 'GET') : undefined);
    await expect(read(bench.through({ maxRetries: 3 }))).rejects.toMatchObject({ code: 'access_denied' });
    expect(bench.proxy.count('GET')).toBe(2);
  });
});

it.each(
  transports.flatMap((transport): [string, string, Record<string, string>][] => [
    [transport, 'whose ETag may stand for other bytes as well', { etag: 'W/"made"', 'accept-ranges': 'bytes' }],
    [transport, 'of a server that may serve no ranges', { etag: '"made"' }],
    [transport, 'without an ETag', { 'accept-ranges': 'bytes' }],
  ]),
)('over the %s transport, an object %s is read over a single connection', async (transport, _what, headers) => {
  const server = await scripted(({ url }, response) => {
    const bytes = url?.includes('large') === true ? large : small;
    const usual = { 'last-modified': new Date().toUTCString(), 'content-length': bytes.length };
    response.writeHead(200, { ...usual, ...headers }).end(bytes);
  });
  const backend = s3Backend({
    endpoint: server.endpoint,
    accessKey: 'key',
    secretKey: 'secret',
    maxPoolConnections: 2,
    transport: transport as TransportName,
  });
  onTestFinished(async () => {
    await backend.close();
    await server.close();
  });
  const open = async (key: string): Promise<Readable> =>
    ((await backend.get({ bucket: 'bucket', key }, {}, noContext)) as ObjectStream).body;
  const first = await open('large');
  const second = open('small');
  await delay(400);
  expect((await readAll(first)).equals(large)).toBe(true);
  expect((await readAll(await second)).equals(small)).toBe(true);
});

it.each(
  transports.flatMap((transport) =>
    (
      [
        ['another ETag', { etag: '"other"' }],
        ['another size', { size: large.length + 1 }],
        ['other bytes', { start: 999_999 }],
        ['fewer bytes', { end: large.length - 2 }],
        ['fewer bytes than it says', { sent: 1000 }],
        ['all of it', { status: 200 }],
        ['nothing, because nothing has changed', { status: 304 }],
      ] as const
    ).map(([what, lie]) => [transport, what, lie] as const),
  ),
)('over the %s transport, an answer with %s instead of the rest fails the body, and holds nothing', async (transport, _what, lie) => {
  const server = await scripted(({ method, headers, socket }, response) => {
    const [, from] = /^bytes=(\d+)-/.exec(headers.range ?? '') ?? [];
    const usual = { 'last-modified': new Date().toUTCString(), 'accept-ranges': 'bytes' };
    if (method === 'HEAD') return void response.writeHead(200, { ...usual, etag: '"made"', 'content-length': 1 }).end();
    if (from === undefined) {
      response.writeHead(200, { ...usual, etag: '"made"', 'content-length': large.length });
      response.write(large.subarray(0, 1_000_000), () => setTimeout(() => socket.destroy(), 50));
      return;
    }
    const honest = { status: 206, etag: '"made"', size: large.length, start: Number(from), end: large.length - 1, sent: Infinity };
    const { status, etag, size, start, end, sent } = { ...honest, ...lie };
    const bytes = (status === 200 ? large : large.subarray(start, end + 1)).subarray(0, sent);
    const range = status === 206 && { 'content-range': `bytes ${start}-${end}/${size}` };
    response.writeHead(status, { ...usual, ...range, etag, 'content-length': bytes.length }).end(bytes);
  });
  const backend = s3Backend({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', maxPoolConnections: 1, transport });
  onTestFinished(async () => {
    await backend.close();
    await server.close();
  });
  const { body } = (await backend.get({ bucket: 'bucket', key: 'large' }, {}, noContext)) as ObjectStream;
  const chunks: Buffer[] = [];
  const reading = (async () => {
    for await (const chunk of body) chunks.push(chunk as Buffer);
  })();
  await expect(reading).rejects.toMatchObject(unavailable);
  expect(large.subarray(0, 1_000_000).indexOf(Buffer.concat(chunks))).toBe(0);
  expect(await backend.head({ bucket: 'bucket', key: 'large' }, noContext)).toMatchObject({ etag: 'made' });
});

it.each(transports.flatMap((transport) => [403, 400, 405, 501].map((status) => [transport, status] as const)))(
  'over the %s transport, a reader that is refused the version (%i) learns that the object was replaced',
  async (transport, status) => {
    const asked: string[] = [];
    const server = await scripted(({ headers, socket, url = '' }, response) => {
      if (headers.range !== undefined) {
        asked.push(new URL(url, 'http://server').searchParams.get('versionId') ?? 'current');
        return void response.writeHead(url.includes('versionId') ? status : 412).end();
      }
      const usual = { 'last-modified': new Date().toUTCString(), 'accept-ranges': 'bytes', 'x-amz-version-id': 'a+b' };
      response.writeHead(200, { ...usual, etag: '"made"', 'content-length': large.length });
      response.write(large.subarray(0, 1_000_000), () => setTimeout(() => socket.destroy(), 50));
    });
    const backend = s3Backend({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', transport });
    onTestFinished(async () => {
      await backend.close();
      await server.close();
    });
    const { body } = (await backend.get({ bucket: 'bucket', key: 'large' }, {}, noContext)) as ObjectStream;
    await expect(readAll(body)).rejects.toMatchObject({ ...unavailable, message: expect.stringContaining('replaced') as string });
    expect(asked).toEqual(['current', 'a+b']);
  },
);
