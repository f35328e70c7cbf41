import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { allEnded } from './concurrency.ts';
import { allRefused, isTaken } from './probe-refusals.ts';
import type { Sandbox } from './probe-sandbox.ts';
import type { BodySum } from './profile.ts';
import type { Store } from './store.ts';

const headers = { contentType: 'text/plain' };

const sums: Readonly<Record<BodySum, (data: Buffer) => Buffer>> = {
  md5: (data) => createHash('md5').update(data).digest(),
  crc32(data) {
    const sum = Buffer.allocUnsafe(4);
    sum.writeUInt32BE(crc32(data));
    return sum;
  },
  sha256: (data) => createHash('sha256').update(data).digest(),
};

export async function verifiedSumsOf(store: Store, sandbox: Sandbox): Promise<readonly BodySum[]> {
  const names = Object.keys(sums) as BodySum[];
  const areVerified = await allEnded(names.map((name) => isVerified(store, sandbox.at(`sum-${name}`), name)));
  return names.filter((_name, index) => areVerified[index]);
}

/** The sum of other bytes is refused, and that of these is not: some servers refuse the header. */
async function isVerified(store: Store, at: ObjectAddress, name: BodySum): Promise<boolean> {
  const data = Buffer.from('sum');
  const send = (sum: Buffer): Promise<unknown> => {
    if (name === 'md5') return store.transport.put(at, { kind: 'buffer', data, md5: sum.toString('hex') }, headers, noContext);
    const checksum = { algorithm: name, base64: sum.toString('base64') };
    return store.transport.put(at, { kind: 'buffer', data }, { ...headers, checksum }, noContext);
  };
  return (await allRefused(send(sums[name](Buffer.from('other'))))) && (await isTaken(send(sums[name](data))));
}
