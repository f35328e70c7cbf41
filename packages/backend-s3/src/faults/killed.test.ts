import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import { startGateway } from '@coffer/fixtures';
import { noContext, readAll } from '@coffer/storage-core';
import type { Body, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';

const gateway = await startGateway();
afterAll(() => gateway.stop());

const options = { contentType: 'text/plain' };
const mib = 2 ** 20;
const large = randomBytes(12 * mib);
const streamOf = (data: Buffer): Body => ({ kind: 'stream', stream: Readable.from([data], { objectMode: false }) });
const unavailable = { status: 'rejected', reason: expect.objectContaining({ code: 'storage_unavailable', retryable: true }) as unknown };

describe.each(transports)('when the server is killed (%s)', (transport) => {
  const bench = faultBench(transport, async () => gateway);
  const bodies: readonly [string, () => Body][] = [
    ['put', () => ({ kind: 'buffer', data: large.subarray(0, 4 * mib) })],
    ['gathered', () => streamOf(large.subarray(0, mib))],
    ['parts', () => streamOf(large)],
  ];
  const read = async (backend: StorageBackend): Promise<Readable> =>
    ((await backend.get(bench.at('read'), {}, noContext)) as ObjectStream).body;

  beforeAll(() => bench.direct.put(bench.at('read'), { kind: 'buffer', data: large }, options, noContext));

  it('whatever is under way fails, nothing is half there, and all goes on when the server is back', async () => {
    const backend = bench.through({ timeout: 20, maxPoolConnections: 20 });
    const body = await read(backend);
    await new Promise((resolve) => body.once('readable', resolve));
    // Parts are on their way when the server freezes.
    bench.proxy.faults.answer = ({ target }) => (target.includes('partNumber') ? (gateway.freeze(), undefined) : undefined);
    const parts = backend.put(bench.at('parts'), bodies[2]![1](), options, noContext);
    const outcome = Promise.allSettled([parts]);
    await eventually(() => bench.proxy.count('PUT', 'partNumber')).toBe(2);
    const sources = bodies.slice(0, 2).map(([key, source]) => [key, source()] as const);
    const puts = sources.map(([key, source]) => backend.put(bench.at(key), source, options, noContext));
    const calls = Promise.allSettled([...puts, backend.get(bench.at('read'), {}, noContext), backend.head(bench.at('read'), noContext)]);
    await eventually(
      () => bench.proxy.count('HEAD', '/read') + bench.proxy.count('PUT', '/put') + bench.proxy.count('PUT', '/gathered'),
    ).toBe(3);

    await gateway.kill();
    expect(await outcome).toEqual([unavailable]);
    expect(await calls).toEqual([unavailable, unavailable, unavailable, unavailable]);
    await expect(readAll(body)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    await eventually(() => bench.proxy.connections()).toBe(0);

    // Nobody listens there now.
    const direct = bench.through({ endpoint: gateway.endpoint, maxRetries: 1, timeout: 20 });
    const refused = [direct.put(bench.at('put'), bodies[0]![1](), options, noContext), read(direct), direct.check(noContext)];
    expect(await Promise.allSettled(refused)).toEqual([unavailable, unavailable, unavailable]);

    bench.proxy.faults.answer = () => undefined;
    await gateway.restart();
    expect((await readAll(await read(backend))).equals(large)).toBe(true);
    for (const [key, source] of bodies) {
      await expect(direct.head(bench.at(key), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
      const { size } = await backend.put(bench.at(key), source(), options, noContext);
      expect((await direct.head(bench.at(key), noContext)).size).toBe(size);
    }
    // The upload could not be aborted; its remains are up to the sweep.
    expect(await bench.leftovers()).toEqual(['parts']);
    await backend.maintenance?.sweep({ olderThan: 0 }, noContext);
    expect(await bench.leftovers()).toEqual([]);
  });
});
