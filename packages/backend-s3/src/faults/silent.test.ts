import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, readAll } from '@coffer/storage-core';
import type { CallContext, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { s3Backend } from '../backend.ts';
import { awsProfile } from '../profile.ts';
import { blackhole } from '../testing/blackhole.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';
import { tlsFront } from '../testing/tls-front.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('forty bytes, one after the other, please');
const large = randomBytes(12 * 2 ** 20);
const readTimeout = { code: 'read_timeout', retryable: true };

describe.each(transports)('when the server is silent (%s)', (transport) => {
  const bench = faultBench(transport);
  const put = (backend: StorageBackend): Promise<unknown> =>
    backend.put(bench.at('put'), { kind: 'buffer', data: small }, options, noContext);
  const get = async (backend: StorageBackend, key: string): Promise<Readable> =>
    ((await backend.get(bench.at(key), {}, noContext)) as ObjectStream).body;

  beforeAll(async () => {
    await bench.direct.put(bench.at('small'), { kind: 'buffer', data: small }, options, noContext);
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
  });

  it('before a connection is made, calls fail with connect_timeout', async () => {
    const hole = await blackhole();
    const backend = bench.through({ endpoint: hole.endpoint, timeout: 1 });
    const calls = [put(backend), get(backend, 'small'), backend.head(bench.at('small'), noContext), backend.check(noContext)];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'connect_timeout', retryable: true } });
    }
    await hole.close();
  });

  it('after a request, calls fail with read_timeout after the retries', async () => {
    bench.proxy.faults.answer = () => 'silence';
    const backend = bench.through({ timeout: 1, maxRetries: 1 });
    const calls = [put(backend), get(backend, 'small'), backend.head(bench.at('small'), noContext)];
    for (const result of await Promise.allSettled(calls)) expect(result).toMatchObject({ status: 'rejected', reason: readTimeout });
    expect([bench.proxy.count('PUT'), bench.proxy.count('GET'), bench.proxy.count('HEAD')]).toEqual([2, 2, 2]);
    await eventually(() => bench.proxy.connections()).toBe(0);
  });

  it('aborted callers do not wait any longer', async () => {
    const reason = new Error('enough');
    const attempts: readonly ((backend: StorageBackend, ctx: CallContext) => Promise<unknown>)[] = [
      (backend, ctx) => backend.put(bench.at('\u00fc'), { kind: 'buffer', data: small }, options, ctx),
      (backend, ctx) => backend.put(bench.at('new'), { kind: 'buffer', data: small }, { ...options, ifNoneMatch: '*' }, ctx),
      (backend, ctx) => backend.put(bench.at('parts'), { kind: 'buffer', data: large }, options, ctx),
    ];
    for (const attempt of attempts) {
      const backend = bench.through({ timeout: 60 });
      const stop = new AbortController();
      bench.proxy.faults.frozen = true;
      const before = bench.proxy.requests.length;
      const stopped = attempt(backend, { signal: stop.signal }).catch((error: unknown) => error);
      await eventually(() => bench.proxy.requests.length).toBeGreaterThan(before);
      stop.abort(reason);
      expect(await stopped).toBe(reason);
      bench.proxy.faults.frozen = false;
      bench.proxy.cutAll();
    }
  });

  it('in the middle of a body, its reader gets read_timeout', async () => {
    const body = await get(bench.through({ timeout: 1 }), 'large');
    body.once('data', () => (bench.proxy.faults.frozen = true));
    await expect(readAll(body)).rejects.toMatchObject(readTimeout);
    await eventually(() => bench.proxy.connections()).toBe(0);
  });

  it('in the middle of a body, until the system gives up its connection, the reader gets the rest over another one', async () => {
    const opened: Socket[] = [];
    const collect = (message: unknown): void => void opened.push((message as { readonly socket: Socket }).socket);
    subscribe('net.client.socket', collect);
    const body = await get(bench.through({ maxRetries: 1 }), 'large').finally(() => unsubscribe('net.client.socket', collect));
    body.once('data', () => {
      const answering = opened.filter(({ remotePort }) => remotePort === Number(new URL(bench.proxy.endpoint).port));
      expect(answering).toHaveLength(1);
      answering[0]!.destroy(Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT', syscall: 'read' }));
    });
    expect((await readAll(body)).equals(large)).toBe(true);
    expect(bench.proxy.count('GET')).toBe(2);
  });

  it('in the middle of an upload, it is read_timeout', async () => {
    const backend = bench.through({ timeout: 1 });
    bench.proxy.faults.answer = ({ target }) => (target.includes('partNumber') ? 'silence' : undefined);
    const stream = Readable.from([large], { objectMode: false });
    await expect(backend.put(bench.at('part'), { kind: 'stream', stream }, options, noContext)).rejects.toMatchObject(readTimeout);
    expect(stream.destroyed).toBe(true);
    expect(await bench.leftovers()).toEqual([]);
  });

  it('between two bytes for less than the timeout, an answer is not idle', async () => {
    const backend = bench.through({ timeout: 2 });
    bench.proxy.faults.drip = { bytes: 10, ms: 60 };
    const [, body, head] = await Promise.all([put(backend), get(backend, 'small'), backend.head(bench.at('small'), noContext)]);
    expect(head.size).toBe(small.length);
    bench.proxy.faults.drip = { bytes: 1, ms: 100 };
    expect((await readAll(body)).equals(small)).toBe(true);
  });
});

describe.each(transports)('when a source is slow (%s)', (transport) => {
  const bench = faultBench(transport);

  async function* drip(): AsyncGenerator<Buffer> {
    for (let byte = 0; byte < 15; byte++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      yield Buffer.from('x');
    }
  }

  it('a small one holds no connection, and no connection timeout ends it', async () => {
    const backend = bench.through({ timeout: 1, maxPoolConnections: 1 });
    const bodies = [{ size: 15 }, {}].map(
      (size) => ({ kind: 'stream', stream: Readable.from(drip(), { objectMode: false }), ...size }) as const,
    );
    const puts = bodies.map((body, index) => backend.put(bench.at(`drip ${index}`), body, options, noContext));
    await backend.put(bench.at('between'), { kind: 'buffer', data: small }, options, noContext);
    expect((await Promise.all(puts)).map(({ size }) => size)).toEqual([15, 15]);
  });

  it('a large one that stalls holds no connection either, and ends when its caller leaves', async () => {
    const backend = bench.through({ timeout: 1, maxPoolConnections: 1 });
    const stalled = new Readable({ read: () => {} });
    stalled.push(large);
    const put = backend.put(bench.at('stalled'), { kind: 'stream', stream: stalled }, options, noContext).catch((error: unknown) => error);
    await eventually(() => bench.proxy.count('PUT', 'partNumber=1&')).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await backend.put(bench.at('between'), { kind: 'buffer', data: small }, options, noContext);
    const reason = new Error('the client went away');
    stalled.destroy(reason);
    expect(await put).toBe(reason);
    expect(await bench.leftovers()).toEqual([]);
  });

  it('one that has to be sent as it arrives fails', async () => {
    const options = { contentType: 'text/plain', ifNoneMatch: '*' as const };
    const settings = { ...bench.account, endpoint: bench.proxy.endpoint, maxRetries: 2, timeout: 1 };
    const backend = s3Backend(settings, { ...awsProfile, conditionalComplete: false });
    const stream = new Readable({ read: () => {} });
    stream.push(large.subarray(0, 1_000_000));
    const put = backend.put(bench.at('as it comes'), { kind: 'stream', stream, size: large.length }, options, noContext);
    await expect(put).rejects.toMatchObject(readTimeout);
    expect(bench.proxy.count('PUT')).toBe(1);
    expect(stream.destroyed).toBe(true);
    await backend.close();
  });
});

// Only lean: the handler of the SDK ends such an answer.
describe('when nothing arrives because a reader is slow', () => {
  const bench = faultBench('lean');

  it.each(['TCP', 'TLS'])('over %s, the reader has all of it in the end', async (over) => {
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
    await using front = over === 'TLS' ? await tlsFront(bench.proxy.endpoint) : undefined;
    const endpoint = front === undefined ? bench.proxy.endpoint : `https://127.0.0.1:${front.port}`;
    const { body } = (await bench.through({ endpoint, timeout: 1 }).get(bench.at('large'), {}, noContext)) as ObjectStream;
    const chunks: Buffer[] = [];
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if (chunks.length <= 6) await delay(700);
    }
    expect(Buffer.concat(chunks).equals(large)).toBe(true);
  });

  it('one that reads no more gets read_timeout', async () => {
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
    const { body } = (await bench.through({ timeout: 1 }).get(bench.at('large'), {}, noContext)) as ObjectStream;
    const [error] = await once(body, 'error');
    expect(error).toMatchObject({ code: 'read_timeout' });
  });
});
