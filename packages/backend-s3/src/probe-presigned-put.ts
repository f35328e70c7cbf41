import type { ObjectAddress, PresignedUpload } from '@coffer/storage-core';

import type { Sandbox } from './probe-sandbox.ts';
import { isTakenUnsigned } from './probe-unsigned.ts';
import type { EndpointProfile } from './profile.ts';
import { encodeKey } from './signature.ts';
import type { Store } from './store.ts';

const content = Buffer.from('bytes');

/**
 * Whether who has a presigned PUT can have an object copied instead, from wherever the signer may read: AWS takes no header of its own
 * that is not signed, others do.
 * @param source an object that is there
 */
export async function presignedPutsOf(store: Store, sandbox: Sandbox, source: ObjectAddress): Promise<EndpointProfile['presignedPuts']> {
  const sign = (name: string, isGuarded: boolean): Promise<PresignedUpload> =>
    store.presigner.privatePutUrl(sandbox.at(name), { contentType: 'text/plain', expiresIn: 600, isGuarded });
  if (!(await isSent(store, await sign('put-copied', false), source))) return 'bound';
  const guarded = await sign('put-guarded', true);
  return (await isSent(store, guarded)) && !(await isSent(store, guarded, source)) ? 'guarded' : 'open';
}

function isSent(store: Store, { url, headers }: PresignedUpload, source?: ObjectAddress): Promise<boolean> {
  const copied = source === undefined ? {} : { 'x-amz-copy-source': `/${source.bucket}/${encodeKey(source.key)}` };
  const sent = { ...headers, ...copied, 'content-length': content.length };
  return isTakenUnsigned(store, { url, method: 'PUT', headers: sent, body: content }, 's3:PutObject');
}
