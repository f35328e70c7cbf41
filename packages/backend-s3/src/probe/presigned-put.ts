import type { ObjectAddress, PresignedUpload } from '@coffer/storage-core';

import type { EndpointProfile } from '../profile.ts';
import { encodeKey } from '../signing/signature.ts';
import type { Store } from '../store.ts';
import type { Sandbox } from './sandbox.ts';
import { isAcceptedUnsigned } from './unsigned.ts';

const content = Buffer.from('bytes');

/**
 * Whether the holder of a presigned PUT can have an object copied instead, from wherever the signer may read. AWS accepts no unsigned
 * header of its own; others do.
 * @param source an existing object
 */
export async function presignedPutsOf(store: Store, sandbox: Sandbox, source: ObjectAddress): Promise<EndpointProfile['presignedPuts']> {
  const sign = (name: string, isGuarded: boolean): Promise<PresignedUpload> =>
    store.presigners.internal.putUrl(sandbox.at(name), { contentType: 'text/plain', expiresIn: 600, isGuarded });
  if (!(await isCopied(store, sandbox, await sign('put-copied', false), source))) return 'bound';
  const guarded = await sign('put-guarded', true);
  return (await isSent(store, sandbox, guarded, content)) && !(await isCopied(store, sandbox, guarded, source)) ? 'guarded' : 'open';
}

/** Also tries to copy a part of an object, for which a server may have other rules; Ceph accepts no bytes with that request. */
async function isCopied(store: Store, sandbox: Sandbox, upload: PresignedUpload, source: ObjectAddress): Promise<boolean> {
  const copied = { 'x-amz-copy-source': `/${source.bucket}/${encodeKey(source.key)}` };
  return (
    (await isSent(store, sandbox, upload, content, copied)) ||
    (await isSent(store, sandbox, upload, Buffer.alloc(0), { ...copied, 'x-amz-copy-source-range': 'bytes=0-0' }))
  );
}

function isSent(
  store: Store,
  sandbox: Sandbox,
  { url, headers }: PresignedUpload,
  body: Buffer,
  more: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  const sent = { ...headers, ...more, 'content-length': body.length };
  return isAcceptedUnsigned(store, sandbox, { url, method: 'PUT', headers: sent, body });
}
