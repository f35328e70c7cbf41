import { createHash } from 'node:crypto';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext } from '@coffer/storage-core';
import type { PutOptions } from '@coffer/storage-core';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { largestPut } from '../limits.ts';
import { openStore } from '../open-store.ts';
import { awsProfile } from '../profile.ts';
import type { EndpointProfile } from '../profile.ts';
import { transports } from '../testing/fault-bench.ts';
import { newStage } from '../testing/lean.ts';
import { ok, refusal } from '../testing/scripted.ts';
import type { Transport } from '../transport.ts';
import { putObject } from './put.ts';

const at = { bucket: 'bucket', key: 'key' };
const options = { contentType: 'text/plain', ifNoneMatch: '*' } as const;
const profile = { ...awsProfile, conditionalComplete: false };
const first = Buffer.alloc(9 * 2 ** 20, 'x');
const last = Buffer.alloc(100_000, 'y');
const size = first.length + last.length;

const { serve, backendTo, open, clear } = newStage();
afterEach(clear);

describe.each(transports)('a stream written with one conditional PUT (%s)', (transport) => {
  it.each([
    ['has another sha256 than was declared', [last], { sha256: '0'.repeat(64) }, 'checksum_mismatch'],
    ['has another md5 than was declared', [last], { md5: '0'.repeat(32) }, 'checksum_mismatch'],
    ['goes on behind its size', [last, Buffer.from('!')], {}, 'invalid_argument'],
    ['is longer than its size', [Buffer.concat([last, Buffer.from('!')])], {}, 'invalid_argument'],
    ['is shorter than its size', [last.subarray(1)], {}, 'invalid_argument'],
  ])('is never complete at the server if it %s', async (_how, rest, sums, code) => {
    let received = 0;
    const arrived = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const server = await serve((request, response) => {
      request.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received === first.length) arrived.resolve();
      });
      request.once('error', () => {});
      request.once('end', () => response.writeHead(200, { etag: '"made"' }).end());
      request.once('close', closed.resolve);
    });
    const source = async function* (): AsyncGenerator<Buffer> {
      yield first;
      await arrived.promise;
      for (const chunk of rest) {
        await delay(20); // by then, earlier bytes would have been sent
        yield chunk;
      }
    };
    const body = { kind: 'stream', stream: Readable.from(source(), { objectMode: false }), size } as const;
    const put = backendTo(server, { transport }, profile).put(at, body, { ...options, ...sums }, noContext);
    await expect(put).rejects.toMatchObject({ code });
    await closed.promise;
    expect(received).toBeLessThan(size);
    expect(server.requests.map(({ method }) => method)).toEqual(['PUT']);
  });
});

// By parts, it would have the ETag of an upload of parts; and where their completion compares nothing, its condition would be lost.
it.each(transports)('a stream of exactly the size of a part is one PUT with its condition (%s)', async (transport) => {
  const server = await serve(ok);
  const whole = first.subarray(0, 8 * 2 ** 20);
  const body = { kind: 'stream', stream: Readable.from([whole], { objectMode: false }), size: whole.length } as const;
  await backendTo(server, { transport }, profile).put(at, body, options, noContext);
  expect(server.requests.map(({ method, headers }) => [method, headers['if-none-match'], headers['content-length']])).toEqual([
    ['PUT', '*', String(whole.length)],
  ]);
});

it('a write reports the defaults of S3 for options that were not given', async () => {
  const body = { kind: 'buffer', data: Buffer.from('x') } as const;
  const backend = backendTo(await serve(ok));
  const plain = { ...at, size: 1, etag: 'made', contentType: 'text/plain', storageClass: 'STANDARD', metadata: {} };
  const told = await backend.put(at, body, { contentType: 'text/plain' }, noContext);
  expect(told).toEqual({ ...plain, lastModified: expect.any(Date) });
  const sha256 = createHash('sha256').update('x').digest('hex');
  const more = { storageClass: 'GLACIER', metadata: { a: 'b' }, sha256 };
  expect(await backend.put(at, body, { contentType: 'text/plain', ...more }, noContext)).toMatchObject({ ...plain, ...more });
});

it.each(transports)(
  'a buffer whose memory is transferred elsewhere before it is sent is refused (%s): the object would be empty',
  async (transport) => {
    const server = await serve(ok);
    const data = new Uint8Array(100);
    const put = backendTo(server, { transport }).put(at, { kind: 'buffer', data }, { contentType: 'text/plain' }, noContext);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    await expect(put).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(server.requests).toEqual([]);
  },
);

it.each(transports)('a buffer whose memory is transferred elsewhere once it has been sent keeps its size (%s)', async (transport) => {
  const data = new Uint8Array(100);
  const server = await serve((request, response) => {
    structuredClone(data.buffer, { transfer: [data.buffer] });
    return ok(request, response);
  });
  const put = backendTo(server, { transport }).put(at, { kind: 'buffer', data }, { contentType: 'text/plain' }, noContext);
  expect(await put).toMatchObject({ size: 100 });
});

it.each(transports)(
  'a buffer whose memory goes away between two attempts is refused (%s): the server would wait for it',
  async (transport) => {
    const data = new Uint8Array(100);
    const server = await serve((request, response) => {
      if (data.byteLength > 0) structuredClone(data.buffer, { transfer: [data.buffer] });
      return refusal(503, 'SlowDown')(request, response);
    });
    const backend = backendTo(server, { transport, maxRetries: 1 });
    const put = backend.put(at, { kind: 'buffer', data }, { contentType: 'text/plain' }, noContext);
    await expect(put).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(server.requests).toHaveLength(1);
  },
);

it.each([
  [100, 0, { size: 100 }],
  [100_000, 0, { code: 'invalid_argument' }],
  [100_000, 200_000, { size: 100_000 }],
])('a buffer of %i bytes whose memory has %i once its connection is open is stored whole or refused', async (given, left, outcome) => {
  const memory = new ArrayBuffer(given, { maxByteLength: 200_000 });
  const server = await serve(ok);
  const body = { kind: 'buffer', data: new Uint8Array(memory) } as const;
  const opening = vi.spyOn(Socket.prototype, 'connect').mockImplementationOnce(function (this: Socket, ...args) {
    opening.mockRestore();
    queueMicrotask(() => memory.resize(left));
    return this.connect(...args);
  });
  const put = backendTo(server, { timeout: 600 }).put(at, body, { contentType: 'text/plain' }, noContext);
  expect(await put.catch((error: unknown) => error)).toMatchObject(outcome);
  expect(server.connections()).toBe(1);
});

it.each([0, 200])(
  'a buffer whose memory has %i bytes once there is a connection for it is refused, and the connection is kept',
  async (left) => {
    const memory = new ArrayBuffer(100, { maxByteLength: 200 });
    const server = await serve((request, response) => {
      memory.resize(left);
      return ok(request, response);
    }, ok);
    const backend = backendTo(server, { maxPoolConnections: 1 });
    const put = async (data: Uint8Array): Promise<unknown> =>
      backend.put(at, { kind: 'buffer', data }, { contentType: 'text/plain' }, noContext);
    const [, waiting] = await Promise.allSettled([put(Buffer.from('x')), put(new Uint8Array(memory))]);
    expect(waiting).toMatchObject({ status: 'rejected', reason: { code: 'invalid_argument' } });
    expect(await put(Buffer.from('y'))).toMatchObject({ size: 1 });
    expect(server.requests).toHaveLength(2);
    expect(server.connections()).toBe(1);
  },
);

describe.each(transports)('metadata (%s)', (transport) => {
  it.each<[Partial<EndpointProfile>, Readonly<Record<string, string>>, readonly string[]]>([
    [{}, { a_b: '1', 'c.d': '2', 'e.5ff': '3', 'g.2eh_': '4' }, ['a_b: 1', 'c.d: 2', 'e.5ff: 3', 'g.2eh_: 4']],
    [
      { keepsUnderscores: false },
      { a_b: '1', 'c.d': '2', 'e.5ff': '3', 'g.2eh_': '4' },
      ['a.5fb: 1', 'c.d: 2', 'e.2e5ff: 3', 'g.2e2eh.5f: 4'],
    ],
    [{}, { none: '', one: '=', two: '==', more: 'a=', some: 'b' }, ['more: a=', 'none: ', 'one: ==', 'some: b', 'two: ===']],
    [{ keepsEmptyValues: false }, { none: '', one: '=', some: 'b' }, ['none: =', 'one: ==', 'some: b']],
    [{ keepsUnderscores: false }, { a_b: '', c: '=' }, ['a.5fb: ', 'c: ==']],
  ])('comes back as given, on a server like AWS except for %j: %j', async (differences, metadata, sent) => {
    const held: string[] = [];
    const server = await serve((request, response) => {
      if (request.method === 'HEAD') return response.writeHead(200, [...held, 'etag', '"made"', 'content-length', '1']).end();
      for (const [name, value] of Object.entries(request.headers)) if (name.startsWith('x-amz-meta-')) held.push(name, String(value));
      return ok(request, response);
    });
    const backend = backendTo(server, { transport }, { ...awsProfile, ...differences });
    await backend.put(at, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain', metadata }, noContext);
    const pairs = Array.from({ length: held.length / 2 }, (_, index) => `${held[2 * index]!.slice(11)}: ${held[2 * index + 1]}`);
    expect(pairs.toSorted()).toEqual(sent);
    expect((await backend.head(at, noContext)).metadata).toEqual(metadata);
  });
});

describe.each(transports)('the condition of a write (%s)', (transport) => {
  const body = { kind: 'buffer', data: Buffer.from('x') } as const;

  it.each<[Pick<PutOptions, 'ifMatch' | 'ifNoneMatch'>, Partial<EndpointProfile>, string | readonly (string | undefined)[]]>([
    [{ ifNoneMatch: '*' }, {}, ['*', undefined]],
    [{ ifNoneMatch: '*' }, { conditionalPut: false }, 'not_supported'],
    [{ ifNoneMatch: '*' }, { putMatch: false }, ['*', undefined]],
    [{ ifMatch: 'etag' }, {}, [undefined, '"etag"']],
    [{ ifMatch: '*' }, {}, 'precondition_failed'],
    [{ ifMatch: 'etag' }, { putMatch: 'bare' }, [undefined, 'etag']],
    [{ ifMatch: 'etag' }, { putMatch: false }, 'not_supported'],
    [{ ifMatch: 'etag' }, { conditionalPut: false, conditionalPutOfVersions: false }, [undefined, '"etag"']],
    [{ ifMatch: 'no "etag"' }, {}, 'precondition_failed'],
  ])('%j on a server like AWS except for %j: %j', async (condition, differences, expected) => {
    const server = await serve(ok);
    const to = backendTo(server, { transport }, { ...awsProfile, ...differences });
    const put = to.put(at, body, { contentType: 'text/plain', metadata: { a: 'b' }, ...condition }, noContext);
    if (typeof expected === 'string') await expect(put).rejects.toMatchObject({ code: expected });
    else await put;
    const names = ['if-none-match', 'if-match', 'content-type', 'x-amz-meta-a'];
    const sent = server.requests.map(({ headers }) => names.map((name) => headers[name]));
    expect(sent).toEqual(typeof expected === 'string' ? [] : [[...expected, 'text/plain', 'b']]);
  });

  it.each([
    [{ ifMatch: 'etag' }, 'precondition_failed'],
    [{ ifNoneMatch: '*' }, 'file_not_found'],
    [{}, 'file_not_found'],
  ] as const)('%j decides what an answer of 404 means: %s', async (condition, code) => {
    const to = backendTo(await serve(refusal(404, '')), { transport });
    await expect(to.put(at, body, { contentType: 'text/plain', ...condition }, noContext)).rejects.toMatchObject({ code });
  });
});

it.each([
  ['is sent', largestPut, ['waited', 'sent']],
  ['is refused before it waits for its turn', largestPut + 1, []],
])('a stream that must be written with a single PUT %s at %i bytes', async (_what, announced, calls) => {
  const made: string[] = [];
  const put: Transport['put'] = async () => {
    made.push('sent');
    return { etag: 'made' };
  };
  const store = openStore({ accessKey: 'who', secretKey: 'secret' }, profile);
  open.push(() => store.connection.close());
  vi.spyOn(store.bulk, 'take').mockImplementation(async () => {
    made.push('waited');
    return () => {};
  });
  const body = { kind: 'stream', stream: Readable.from([first], { objectMode: false }), size: announced } as const;
  const writing = putObject({ ...store, transport: { ...store.transport, put } }, at, body, options, noContext);
  if (calls.length > 0) expect(await writing).toMatchObject({ size: announced });
  else await expect(writing).rejects.toMatchObject({ code: 'not_supported' });
  expect(made).toEqual(calls);
});

it.each([{ sha256: '0'.repeat(64) }, { md5: '0'.repeat(32) }])(
  'the last bytes of such a stream are held back until %j is verified',
  async (sums) => {
    let received = 0;
    const put: Transport['put'] = async (_at, payload) => {
      if (payload.kind === 'stream') for await (const chunk of payload.stream) received += (chunk as Buffer).length;
      return { etag: 'made' };
    };
    const store = openStore({ accessKey: 'who', secretKey: 'secret' }, profile);
    open.push(() => store.connection.close());
    const body = { kind: 'stream', stream: Readable.from([first, last], { objectMode: false }), size } as const;
    const writing = putObject({ ...store, transport: { ...store.transport, put } }, at, body, { ...options, ...sums }, noContext);
    await expect(writing).rejects.toMatchObject({ code: 'checksum_mismatch' });
    expect(received).toBe(first.length);
  },
);
