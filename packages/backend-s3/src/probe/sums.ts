import { hash } from 'node:crypto';

import { noContext } from '@coffer/storage-core';

import { allEnded } from '../concurrency.ts';
import type { BodySum } from '../profile.ts';
import type { Store } from '../store.ts';
import { crc32Of } from '../upload/checksums.ts';
import { isAccepted } from './refusals.ts';
import type { Sandbox } from './sandbox.ts';

const headers = { contentType: 'text/plain' };

const names: readonly BodySum[] = ['md5', 'crc32', 'sha256'];

export async function verifiedSumsOf(store: Store, sandbox: Sandbox): Promise<readonly BodySum[]> {
  const areVerified = await allEnded(names.map((name) => isVerified(store, sandbox, name)));
  return names.filter((_name, index) => areVerified[index]);
}

/** Whether the checksum of other bytes is refused and the right one is not: some servers refuse the header. */
async function isVerified(store: Store, sandbox: Sandbox, name: BodySum): Promise<boolean> {
  const at = sandbox.at(`sum-${name}`);
  const data = Buffer.from('sum');
  const isTakenWithSumOf = (summed: Buffer): Promise<boolean> => isAccepted(sandbox, () => send(summed));
  const send = (summed: Buffer): Promise<unknown> => {
    if (name === 'md5') return store.transport.put(at, { kind: 'buffer', data, md5: hash('md5', summed) }, headers, noContext);
    const checksum = { algorithm: name, base64: name === 'crc32' ? crc32Of(summed) : hash('sha256', summed, 'base64') };
    return store.transport.put(at, { kind: 'buffer', data }, { ...headers, checksum }, noContext);
  };
  return !(await isTakenWithSumOf(Buffer.from('other'))) && (await isTakenWithSumOf(data));
}
