import { randomBytes } from 'node:crypto';

import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectAddress, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { faultBench, transports } from '../testing/fault-bench.ts';
import { findHostsBelowLocalhost } from '../testing/hosts-below-localhost.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const thirty = Array.from({ length: 30 }, (_, index) => index);

findHostsBelowLocalhost();

describe.each(transports)('the sockets to a provider whose buckets are hosts (%s)', (transport) => {
  const bench = faultBench(transport);
  const buckets = Array.from({ length: 6 }, () => `host-${randomBytes(6).toString('hex')}`);
  const through = (maxPoolConnections: number): StorageBackend =>
    bench.through({ endpoint: `http://s3.localhost:${new URL(bench.proxy.endpoint).port}`, forcePathStyle: false, maxPoolConnections });
  const at = (index: number): ObjectAddress => ({ bucket: buckets[index % buckets.length]!, key: 'small' });
  const get = async (backend: StorageBackend, index: number): Promise<Buffer> =>
    readAll(((await backend.get(at(index), {}, noContext)) as ObjectStream).body);

  beforeAll(async () => {
    for (const [index, bucket] of buckets.entries()) {
      await bench.direct.buckets?.create(bucket, {}, noContext);
      await bench.direct.put(at(index), { kind: 'buffer', data: small }, options, noContext);
    }
  });
  afterAll(async () => {
    for (const bucket of buckets) await bench.direct.buckets?.delete(bucket, { force: true }, noContext);
  });

  it.each([1, 4])('are never more than %i at once, and all of them are used, whatever the bucket', async (maxPoolConnections) => {
    const backend = through(maxPoolConnections);
    bench.proxy.faults.drip = { bytes: 4096, ms: 1 };
    await Promise.all(
      thirty.flatMap((index) => [
        backend.put(at(index), { kind: 'buffer', data: small }, options, noContext),
        get(backend, index),
        backend.head(at(index), noContext),
      ]),
    );
    expect(bench.proxy.mostConnections()).toBe(maxPoolConnections);
    expect(bench.proxy.requests).toHaveLength(90);
    expect(new Set(bench.proxy.requests.map(({ headers }) => headers['host']?.split('.')[0]))).toEqual(new Set(buckets));
  });

  it('are kept for the next call to the same bucket, and closed when another one needs the place', async () => {
    const backend = through(2);
    for (const index of [0, 1, 0, 1, 2, 3, 4, 5]) expect((await get(backend, index)).equals(small)).toBe(true);
    expect(bench.proxy.mostConnections()).toBe(2);
  });

  it('go to whoever waits longest, whatever the bucket', async () => {
    const backend = through(1);
    const order: number[] = [];
    await Promise.all(
      [0, 0, 1, 0, 2, 0, 3].map(async (index, place) => {
        await backend.head(at(index), noContext);
        order.push(place);
      }),
    );
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});
