import { createHash } from 'node:crypto';

import { memoryBackend, wrapBackend } from '@coffer/storage-core';
import type { StorageBackend, StorageServiceOptions } from '@coffer/storage-core';

import type { FileRecord, PresignedFileUpload, PresignedUploadRequest } from '../index.ts';
import { acme, openRig, presigning, userOf } from './support.ts';
import type { Rig } from './support.ts';

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
export const alice = userOf(acme, 'alice');

/** All that a presigned upload takes: the service that issues it, the browser that sends it, and the provider in between. */
export interface PresignedRig extends Rig {
  readonly inner: StorageBackend;
  /** Issues a form for a file of acme's and alice's; `more` overrides the request. */
  presign(more?: Partial<PresignedUploadRequest>): Promise<PresignedFileUpload>;
  /** Does what a browser with the form does. */
  send(presigned: PresignedFileUpload, text: string, contentType?: string): Promise<unknown>;
  complete(presigned: PresignedFileUpload): Promise<FileRecord>;
  expire(presigned: PresignedFileUpload): Promise<unknown>;
  /** Replaces operations of the provider from now on. */
  replace(operations: Partial<StorageBackend>): void;
}

export async function openPresignedRig(server: 'embedded' | 'debian', storage: Partial<StorageServiceOptions> = {}): Promise<PresignedRig> {
  const inner = wrapBackend(memoryBackend());
  let replaced: Partial<StorageBackend> = {};
  const backend = new Proxy(presigning(inner), { get: (target, key) => Reflect.get(replaced, key) ?? Reflect.get(target, key) });
  const rig = await openRig({ server, backend, storage });
  await rig.tenants.create(acme);
  return {
    ...rig,
    inner,
    presign: (more = {}) =>
      rig.files.createPresignedUpload({
        filename: 'a.txt',
        contentType: 'text/plain',
        sizeBytes: 5,
        ownerId: 'alice',
        tenantContext: acme,
        ...more,
      }),
    send: ({ uploadFields }, text, contentType = 'text/plain') =>
      inner.put({ bucket: 'acme-uploads', key: uploadFields['key']! }, { kind: 'buffer', data: Buffer.from(text) }, { contentType }, {}),
    complete: (presigned) => rig.files.completeUpload(presigned.fileId, alice),
    expire: ({ fileId }) =>
      rig.query(`update files set expires_at = now() - interval '1 s', sweep_at = now() - interval '1 s' where id = '${fileId}'`),
    replace(operations) {
      replaced = operations;
    },
  };
}
