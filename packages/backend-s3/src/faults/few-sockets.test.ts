import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import { noContext, readAll } from '@coffer/storage-core';
import type { CallContext, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { awsProfile } from '../profile.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(12 * 2 ** 20);

/** None of them is left to everything else while bodies are open. */
describe.each(transports)('so few sockets (%s)', (transport) => {
  const bench = faultBench(transport);
  const open = async (backend: StorageBackend, key = 'large', ctx: CallContext = noContext): Promise<Readable> =>
    ((await backend.get(bench.at(key), {}, ctx)) as ObjectStream).body;

  beforeAll(async () => {
    await bench.direct.put(bench.at('small'), { kind: 'buffer', data: small }, options, noContext);
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
    const odd = { ...options, metadata: { 'a.5fb': 'c' } };
    await bench.direct.put(bench.at('odd'), { kind: 'buffer', data: large }, odd, noContext);
  });

  it.each([1, 2, 3, 4])('are lent by readers to whoever writes or looks (%i)', async (maxPoolConnections) => {
    const backend = bench.through({ maxPoolConnections, timeout: 3 });
    const bodies = await Promise.all([open(backend), open(backend)]);
    await backend.put(bench.at('beside'), { kind: 'buffer', data: small }, options, noContext);
    expect((await backend.head(bench.at('beside'), noContext)).size).toBe(small.length);
    for (const each of await Promise.all(bodies.map((body) => readAll(body)))) expect(each.equals(large)).toBe(true);
    expect(bench.proxy.mostConnections()).toBeLessThanOrEqual(maxPoolConnections);
  });

  it.each([1, 2, 3])('are enough to upload what is downloaded through them (%i)', async (maxPoolConnections) => {
    const backend = bench.through({ maxPoolConnections, timeout: 3 });
    const body = { kind: 'stream', stream: await open(backend), size: large.length } as const;
    await backend.put(bench.at('piped'), body, options, noContext);
    expect((await readAll(await open(bench.direct, 'piped'))).equals(large)).toBe(true);
  });

  it.each([2, 3])('are enough to stream what is downloaded through them, for a condition (%i)', async (maxPoolConnections) => {
    const profile = { ...awsProfile, conditionalComplete: false };
    const backend = bench.through({ maxPoolConnections, timeout: 3 }, { profile });
    const body = { kind: 'stream', stream: await open(backend), size: large.length } as const;
    await backend.put(bench.at(`streamed ${maxPoolConnections}`), body, { ...options, ifNoneMatch: '*' }, noContext);
    expect((await readAll(await open(bench.direct, `streamed ${maxPoolConnections}`))).equals(large)).toBe(true);
  });

  it.each([3, 4, 5])('are enough for all such uploads that are under way when a second tenant comes (%i)', async (maxPoolConnections) => {
    const profile = { ...awsProfile, conditionalComplete: false };
    const backend = bench.through({ maxPoolConnections, timeout: 3 }, { profile });
    const [acme, globex] = [{ tenant: 'acme' }, { tenant: 'globex' }];
    const { promise: hasCome, resolve: come } = Promise.withResolvers<void>();
    const most = Math.floor(maxPoolConnections / 2);
    const keys = Array.from({ length: most }, (_, index) => `${maxPoolConnections}: ${index}`);
    const uploads = keys.map(async (key) => {
      const source = await open(backend, 'large', acme);
      const waiting = async function* (): AsyncGenerator<Buffer> {
        for await (const chunk of source) {
          yield chunk as Buffer;
          await hasCome;
        }
      };
      const body = { kind: 'stream', stream: Readable.from(waiting(), { objectMode: false }), size: large.length } as const;
      await backend.put(bench.at(key), body, { ...options, ifNoneMatch: '*' }, acme);
    });
    await eventually(() => bench.proxy.count('PUT', `/${maxPoolConnections}`)).toBe(most);
    await readAll(await open(backend, 'small', globex));
    come();
    await Promise.all(uploads);
    for (const key of keys) expect((await readAll(await open(bench.direct, key))).equals(large)).toBe(true);
  });

  it('are enough to probe the server while a body is open, for the metadata of the object', async () => {
    const backend = bench.through({ maxPoolConnections: 1, timeout: 20 });
    const { info, body } = (await backend.get(bench.at('odd'), {}, noContext)) as ObjectStream;
    expect(info.metadata).toEqual({ 'a.5fb': 'c' });
    expect((await readAll(body)).equals(large)).toBe(true);
  });

  it.each([2, 3, 4])('are left to readers while the server copies (%i)', async (maxPoolConnections) => {
    const backend = bench.through({ maxPoolConnections, timeout: 20 });
    const leaving = new AbortController();
    bench.proxy.faults.answer = ({ headers }) => (headers['x-amz-copy-source'] === undefined ? undefined : 'silence');
    const [acme, globex] = [{ tenant: 'acme' }, { tenant: 'globex' }];
    const held = backend
      .copy(bench.at('large'), bench.at('copy'), {}, { ...acme, signal: leaving.signal })
      .catch((error: unknown) => error);
    await eventually(() => bench.proxy.requests.some(({ headers }) => headers['x-amz-copy-source'] !== undefined)).toBe(true);
    const stalled = await open(backend, 'large', globex);
    const bodies = await Promise.all([open(backend, 'small', acme), open(backend, 'large', acme), open(backend, 'large', globex)]);
    await Promise.all(bodies.map((body) => readAll(body)));
    await backend.put(bench.at('beside'), { kind: 'buffer', data: small }, options, globex);
    expect((await readAll(stalled)).equals(large)).toBe(true);
    leaving.abort();
    await held;
  });
});
