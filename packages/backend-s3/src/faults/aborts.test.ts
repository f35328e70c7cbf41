import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import { noContext, readAll } from '@coffer/storage-core';
import type { CallContext, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { blackhole } from '../testing/blackhole.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(20 * 2 ** 20);

describe.each(transports)('when the caller aborts (%s)', (transport) => {
  const bench = faultBench(transport);
  const reason = new Error('the client went away');
  const begun = (start: (ctx: CallContext) => Promise<unknown>): { readonly abort: () => void; readonly outcome: Promise<unknown> } => {
    const cancel = new AbortController();
    return { abort: () => cancel.abort(reason), outcome: start({ signal: cancel.signal }).catch((error: unknown) => error) };
  };
  type Call = (backend: StorageBackend, ctx: CallContext) => Promise<unknown>;
  const calls: readonly [string, Call][] = [
    ['put', (backend, ctx) => backend.put(bench.at('aborted'), { kind: 'buffer', data: small }, options, ctx)],
    ['get', (backend, ctx) => backend.get(bench.at('large'), {}, ctx)],
    ['head', (backend, ctx) => backend.head(bench.at('large'), ctx)],
  ];

  beforeAll(() => bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext));

  it.each(calls)('before a connection is there, %s ends with the reason', async (_name, call) => {
    const hole = await blackhole();
    const backend = bench.through({ endpoint: hole.endpoint, timeout: 30, maxPoolConnections: 1 });
    // The second call waits for the socket of the first.
    const [first, second] = [begun((ctx) => call(backend, ctx)), begun((ctx) => call(backend, ctx))];
    await new Promise((resolve) => setTimeout(resolve, 50));
    second.abort();
    expect(await second.outcome).toBe(reason);
    first.abort();
    expect(await first.outcome).toBe(reason);
    await hole.close();
  });

  it.each(calls)('before the answer, %s ends with the reason, and the connection is closed', async (_name, call) => {
    bench.proxy.faults.answer = () => 'silence';
    const { abort, outcome } = begun((ctx) => call(bench.through({ maxRetries: 3 }), ctx));
    await eventually(() => bench.proxy.requests.length).toBe(1);
    abort();
    expect(await outcome).toBe(reason);
    await eventually(() => bench.proxy.connections()).toBe(0);
    expect(bench.proxy.requests).toHaveLength(1);
  });

  it.each(calls)('in the head of the answer, %s ends with the reason', async (_name, call) => {
    bench.proxy.faults.drip = { bytes: 5, ms: 50 };
    const { abort, outcome } = begun((ctx) => call(bench.through({ maxRetries: 3 }), ctx));
    await eventually(() => bench.proxy.requests.length).toBe(1);
    setTimeout(abort, 200);
    expect(await outcome).toBe(reason);
    await eventually(() => bench.proxy.connections()).toBe(0);
  });

  it('in the body of the answer, its reader gets the reason', async () => {
    const cancel = new AbortController();
    const { body } = (await bench.through().get(bench.at('large'), {}, { signal: cancel.signal })) as ObjectStream;
    body.once('data', () => cancel.abort(reason));
    await expect(readAll(body)).rejects.toBe(reason);
    await eventually(() => bench.proxy.connections()).toBe(0);
  });

  it('in the body of a PUT, nothing is stored', async () => {
    const backend = bench.through({ partSize: 64 * 2 ** 20 });
    // Only what fits into the sockets' buffers is sent.
    bench.proxy.faults.frozen = true;
    const { abort, outcome } = begun((ctx) => backend.put(bench.at('half'), { kind: 'buffer', data: large }, options, ctx));
    await eventually(() => bench.proxy.count('PUT')).toBe(1);
    abort();
    expect(await outcome).toBe(reason);
    await eventually(() => bench.proxy.connections()).toBe(0);
    await expect(bench.direct.head(bench.at('half'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
  });

  it.each([
    ['while the source is read', false, false],
    ['while parts are sent', true, false],
    ['while the last parts are sent', true, true],
  ])('%s, no multipart upload is left on the server', async (_name, isSilent, hasEnded) => {
    const backend = bench.through();
    const source = new Readable({ read: () => {} });
    source.push(large);
    if (hasEnded) source.push(null);
    bench.proxy.faults.answer = ({ target }) => (isSilent && target.includes('partNumber=2&') ? 'silence' : undefined);
    const { abort, outcome } = begun((ctx) => backend.put(bench.at('parts'), { kind: 'stream', stream: source }, options, ctx));
    await eventually(() => bench.proxy.count('PUT', 'partNumber=2&')).toBe(1);
    expect(await bench.leftovers()).toEqual(['parts']);
    abort();
    expect(await outcome).toBe(reason);
    expect(source.destroyed).toBe(true);
    expect(await bench.leftovers()).toEqual([]);
  });

  it('while the provider does not answer, an upload by parts ends soon, and is aborted once it does', async () => {
    const source = Readable.from([large, large], { objectMode: false });
    const backend = bench.through({ maxRetries: 9, timeout: 10 });
    const { abort, outcome } = begun((ctx) => backend.put(bench.at('silent'), { kind: 'stream', stream: source }, options, ctx));
    await eventually(() => bench.proxy.count('PUT', 'partNumber=')).toBeGreaterThan(0);
    bench.proxy.faults.answer = ({ method }) => (method === 'DELETE' ? 'silence' : undefined);
    abort();
    const since = performance.now();
    expect(await outcome).toBe(reason);
    expect(performance.now() - since).toBeLessThan(9000);
    delete bench.proxy.faults.answer;
    bench.proxy.cutAll();
    await eventually(() => bench.leftovers()).toEqual([]);
  });

  it('while its source does not even end when told to, an upload ends', async () => {
    const stuck = Readable.from(
      (async function* () {
        yield large;
        await new Promise(() => {}); // so it never learns that nobody wants more
      })(),
      { objectMode: false },
    );
    const { abort, outcome } = begun((ctx) => bench.through().put(bench.at('stuck'), { kind: 'stream', stream: stuck }, options, ctx));
    await eventually(() => bench.proxy.count('PUT', 'partNumber=2&')).toBe(1);
    abort();
    expect(await outcome).toBe(reason);
    expect(await bench.leftovers()).toEqual([]);
  });
});
