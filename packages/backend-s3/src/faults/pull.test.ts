import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext } from '@coffer/storage-core';
import type { ByteSink, CallContext, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { refusalOf } from '../testing/answers.ts';
import { blackhole } from '../testing/blackhole.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench } from '../testing/fault-bench.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('forty bytes, one after the other, please');
const large = randomBytes(12 * 2 ** 20);
const unavailable = { code: 'storage_unavailable', retryable: true };
const readTimeout = { code: 'read_timeout', retryable: true };

describe('a pull', () => {
  const bench = faultBench('lean');
  const pull = async (backend: StorageBackend, key: string, ctx: CallContext = noContext): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    await backend.pull!(bench.at(key), {}, (chunk) => void chunks.push(Buffer.from(chunk)), ctx);
    return Buffer.concat(chunks);
  };
  const put = (backend: StorageBackend): Promise<unknown> =>
    backend.put(bench.at('put'), { kind: 'buffer', data: small }, options, noContext);

  beforeAll(async () => {
    await bench.direct.put(bench.at('small'), { kind: 'buffer', data: small }, options, noContext);
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
  });

  describe.each(['end', 'reset'] as const)('that is cut by %s', (cut) => {
    it.each([
      ['before the answer', { answer: () => 'cut' as const }],
      ['in the head of the answer', { cutAfter: 40 }],
      ['before the first byte of the object', { cutBodyAfter: 0 }],
    ])('%s is made again', async (_name, fault) => {
      const backend = bench.through({ maxRetries: 2 });
      Object.assign(bench.proxy.faults, { cut, ...fault });
      await expect(pull(backend, 'large')).rejects.toMatchObject(unavailable);
      if (!('cutBodyAfter' in fault)) expect(bench.proxy.count('GET')).toBe(3);
      await eventually(() => bench.proxy.connections()).toBe(0);
      Object.assign(bench.proxy.faults, { answer: () => undefined, cutAfter: Infinity, cutBodyAfter: Infinity });
      expect((await pull(backend, 'large')).equals(large)).toBe(true);
    });

    it.each([1, 1_000_000, large.length - 1])('after %i bytes fails, and never gives a short object', async (cutBodyAfter) => {
      const backend = bench.through({ maxRetries: 2 });
      Object.assign(bench.proxy.faults, { cut, cutBodyAfter });
      let size = 0;
      const sink: ByteSink = (chunk) => void (size += chunk.length);
      await expect(backend.pull!(bench.at('large'), {}, sink, noContext)).rejects.toMatchObject(unavailable);
      expect(size).toBeLessThanOrEqual(cutBodyAfter);
      expect(bench.proxy.count('GET')).toBe(1);
    });

    it('while its connection is kept connects anew', async () => {
      const backend = bench.through();
      await pull(backend, 'small');
      bench.proxy.faults.cut = cut;
      bench.proxy.cutAll();
      expect(await pull(backend, 'small')).toEqual(small);
    });
  });

  it('is made again as often as any call when the server has had enough', async () => {
    bench.proxy.faults.answer = ({ method }) => refusalOf(503, 'SlowDown', method, { 'retry-after': '0' });
    await expect(pull(bench.through({ maxRetries: 1 }), 'large')).rejects.toMatchObject({ ...unavailable, retryAfter: 1 });
    expect(bench.proxy.count('GET')).toBe(2);
  });

  it('fails with connect_timeout if nobody accepts, and with read_timeout if nobody answers', async () => {
    const hole = await blackhole();
    const lost = pull(bench.through({ endpoint: hole.endpoint, timeout: 1 }), 'large');
    await expect(lost).rejects.toMatchObject({ code: 'connect_timeout', retryable: true });
    await hole.close();
    bench.proxy.faults.answer = () => 'silence';
    await expect(pull(bench.through({ timeout: 1, maxRetries: 1 }), 'large')).rejects.toMatchObject(readTimeout);
    expect(bench.proxy.count('GET')).toBe(2);
    await eventually(() => bench.proxy.connections()).toBe(0);
  });

  it('fails with read_timeout if its bytes stop arriving, but not if they drip', async () => {
    const backend = bench.through({ timeout: 1 });
    const sink: ByteSink = () => void (bench.proxy.faults.frozen = true);
    await expect(backend.pull!(bench.at('large'), {}, sink, noContext)).rejects.toMatchObject(readTimeout);
    await eventually(() => bench.proxy.connections()).toBe(0);
    Object.assign(bench.proxy.faults, { frozen: false, drip: { bytes: 20, ms: 50 } });
    expect(await pull(bench.through({ timeout: 1 }), 'small')).toEqual(small);
  });

  it('continues if its sink is slow, and ends with the error of a sink that fails', async () => {
    const backend = bench.through({ timeout: 1 });
    const chunks: Buffer[] = [];
    const slow: ByteSink = async (chunk) => {
      chunks.push(Buffer.from(chunk));
      if (chunks.length % 20 === 0) await delay(400);
    };
    await backend.pull!(bench.at('large'), {}, slow, noContext);
    expect(Buffer.concat(chunks).equals(large)).toBe(true);
    const full = new Error('the disk is full');
    const failing: ByteSink = async () => {
      throw full;
    };
    await expect(backend.pull!(bench.at('large'), {}, failing, noContext)).rejects.toBe(full);
    await eventually(() => bench.proxy.connections()).toBe(0);
  });

  it('ends with the reason of an abort in every phase', async () => {
    const reason = new Error('the client went away');
    const begun = (backend: StorageBackend): { readonly abort: () => void; readonly outcome: Promise<unknown> } => {
      const cancel = new AbortController();
      return {
        abort: () => cancel.abort(reason),
        outcome: pull(backend, 'large', { signal: cancel.signal }).catch((error: unknown) => error),
      };
    };
    const hole = await blackhole();
    const connecting = begun(bench.through({ endpoint: hole.endpoint, timeout: 30 }));
    await delay(50);
    connecting.abort();
    expect(await connecting.outcome).toBe(reason);
    await hole.close();
    for (const fault of [
      { answer: () => 'silence' as const },
      { answer: () => undefined, drip: { bytes: 5, ms: 50 } },
      { drip: { bytes: 60_000, ms: 50 } },
    ]) {
      const before = bench.proxy.requests.length;
      Object.assign(bench.proxy.faults, fault);
      const waiting = begun(bench.through({ maxRetries: 3 }));
      await eventually(() => bench.proxy.requests.length).toBe(before + 1);
      await delay(100);
      waiting.abort();
      expect(await waiting.outcome).toBe(reason);
      await eventually(() => bench.proxy.connections()).toBe(0);
      expect(bench.proxy.requests).toHaveLength(before + 1);
    }
  });

  it('counts towards the limit of sockets, whatever runs at the same time', async () => {
    const backend = bench.through({ maxPoolConnections: 4, timeout: 20 });
    bench.proxy.faults.drip = { bytes: 4096, ms: 1 };
    await Promise.all(
      Array.from({ length: 40 }, () => [put(backend), pull(backend, 'small'), backend.head(bench.at('small'), noContext)]).flat(),
    );
    expect(bench.proxy.mostConnections()).toBeLessThanOrEqual(4);
    expect(bench.proxy.mostConnections()).toBeGreaterThan(2);
  });

  it('leaves its socket to a waiting call when it has ended', async () => {
    const backend = bench.through({ maxPoolConnections: 2 });
    bench.proxy.faults.answer = ({ target }) => (target.endsWith('/held') ? 'silence' : undefined);
    const cancel = new AbortController();
    let takeOn: (() => void) | undefined;
    const pulling = backend.pull!(bench.at('large'), {}, () => new Promise<void>((resolve) => (takeOn = resolve)), noContext);
    await eventually(() => takeOn).toBeDefined();
    const held = backend.head(bench.at('held'), { signal: cancel.signal }); // has the other socket
    await eventually(() => bench.proxy.count('HEAD')).toBe(1);
    const waiting = put(backend);
    expect(await Promise.race([waiting.then(() => 'served'), delay(200, 'waits')])).toBe('waits');
    const reading = setInterval(() => takeOn?.(), 0);
    await pulling.finally(() => clearInterval(reading));
    await waiting;
    cancel.abort();
    await expect(held).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('gives up its kept socket to waiting calls', async () => {
    const backend = bench.through({ maxPoolConnections: 2, timeout: 10 });
    await pull(backend, 'small');
    // Takes the other socket, and nobody reads.
    const { body } = (await backend.get(bench.at('large'), {}, noContext)) as ObjectStream;
    await put(backend);
    expect(body.destroyed).toBe(false);
    body.destroy();
  });
});
