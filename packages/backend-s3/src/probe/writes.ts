import { noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import type { Store } from '../store.ts';
import type { WriteHeaders, Written } from '../transport.ts';
import { writeByParts } from '../upload/multipart.ts';
import type { Parts } from '../upload/multipart.ts';

const contentType = 'text/plain';

type More = Omit<WriteHeaders, 'contentType'>;

/** Writes a text with PutObject. */
export function write(store: Store, at: ObjectAddress, text: string, more: More = {}): Promise<Written> {
  return store.transport.put(at, { kind: 'buffer', data: Buffer.from(text) }, { contentType, ...more }, noContext);
}

/** Writes an object with CompleteMultipartUpload, from a single part. */
export function writePart(store: Store, at: ObjectAddress, more: More): Promise<unknown> {
  let isSent = false;
  const parts: Parts = {
    async next() {
      if (isSent) return undefined;
      isSent = true;
      return { send: (upload, ctx) => store.transport.uploadPart(upload, Buffer.from('part'), ctx) };
    },
  };
  return writeByParts(store, at, { headers: { contentType, ...more }, parts }, noContext);
}
