import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import { noContext } from '@coffer/storage-core';
import type { Body } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { awsProfile } from '../profile.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';

const options = { contentType: 'text/plain' };
const sizes = { 'a few bytes': randomBytes(1000), 'a megabyte': randomBytes(2 ** 20), parts: randomBytes(9 * 2 ** 20) };
const streamOf = (data: Buffer): Readable => Readable.from([data.subarray(0, 700), data.subarray(700)], { objectMode: false });
const ways: readonly [string, (data: Buffer) => Body][] = [
  ['a buffer', (data) => ({ kind: 'buffer', data })],
  ['a stream of known size', (data) => ({ kind: 'stream', stream: streamOf(data), size: data.length })],
  ['a stream of unknown size', (data) => ({ kind: 'stream', stream: streamOf(data) })],
];
const cases = Object.entries(sizes).flatMap(([size, data]) => ways.map(([way, body]) => [size, way, data, body] as const));

describe.each(transports)('bytes and their declared checksums (%s)', (transport) => {
  const bench = faultBench(transport);

  it.each(cases)('%s in %s are refused if the checksum is wrong, and nothing is stored', async (_size, _way, data, body) => {
    const backend = bench.through();
    const wrong = [{ sha256: '0'.repeat(64) }, { md5: '0'.repeat(32) }];
    for (const sums of wrong) {
      const source = body(data);
      const put = backend.put(bench.at('wrong'), source, { ...options, ...sums }, noContext);
      await expect(put).rejects.toMatchObject({ code: 'checksum_mismatch', retryable: false });
      if (source.kind === 'stream') expect(source.stream.destroyed).toBe(true);
    }
    await expect(bench.direct.head(bench.at('wrong'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await bench.leftovers()).toEqual([]);
    // If the mismatch can be known beforehand, nothing has been sent.
    expect(bench.proxy.count('PUT', '/wrong?') === 0 || data === sizes.parts).toBe(true);
    expect(bench.proxy.requests.filter(({ target }) => target === `/${bench.bucket}/wrong`)).toEqual([]);
  });

  it.each(cases)('%s in %s are accepted if the checksum is right', async (_size, _way, data, body) => {
    const [sha256, md5] = [createHash('sha256').update(data).digest('hex'), createHash('md5').update(data).digest('hex')];
    const info = await bench.through().put(bench.at('right'), body(data), { ...options, sha256, md5 }, noContext);
    expect(info).toMatchObject({ size: data.length, sha256 });
  });

  it.each(Object.entries(sizes))('%s that change on the way are refused, where payloads are signed', async (_size, data) => {
    const backend = bench.through({ payloadSigning: 'always' });
    bench.proxy.faults.corrupt = true;
    for (const body of [{ kind: 'buffer', data } as const, { kind: 'stream', stream: streamOf(data) } as const]) {
      await expect(backend.put(bench.at('changed'), body, options, noContext)).rejects.toMatchObject({ code: 'checksum_mismatch' });
    }
    await expect(bench.direct.head(bench.at('changed'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await bench.leftovers()).toEqual([]);
  });

  it.each(
    (['sha256', 'md5'] as const).flatMap((name) =>
      (['a megabyte', 'parts'] as const).flatMap((size) => ways.map(([way, body]) => [size, way, name, body] as const)),
    ),
  )('%s in %s that change on the way are refused by a declared %s', async (size, _way, name, body) => {
    const data = sizes[size];
    bench.proxy.faults.answer = ({ method }) => {
      bench.proxy.faults.corrupt = method === 'PUT'; // documents have checksums of their own
      return undefined;
    };
    const declared = { ...options, [name]: createHash(name).update(data).digest('hex') };
    const backend = bench.through();
    await expect(backend.put(bench.at('changed'), body(data), declared, noContext)).rejects.toMatchObject({ code: 'checksum_mismatch' });
    await expect(bench.direct.head(bench.at('changed'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await bench.leftovers()).toEqual([]);
  });

  it.each(['sha256', 'md5'] as const)('in one conditional PUT that change on the way are refused by a declared %s', async (name) => {
    const data = sizes.parts;
    bench.proxy.faults.corrupt = true;
    const declared = { ...options, ifNoneMatch: '*', [name]: createHash(name).update(data).digest('hex') } as const;
    const backend = bench.through({}, { profile: { ...awsProfile, conditionalComplete: false } });
    const body = { kind: 'stream', stream: streamOf(data), size: data.length } as const;
    await expect(backend.put(bench.at('changed'), body, declared, noContext)).rejects.toMatchObject({ code: 'checksum_mismatch' });
    await expect(bench.direct.head(bench.at('changed'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
  });
});
