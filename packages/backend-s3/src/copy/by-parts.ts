import type { CallContext, ObjectAddress } from '@coffer/storage-core';

import { bulkAtOnce, inTurn } from '../bulk-request.ts';
import { smallestPart } from '../limits.ts';
import type { Store } from '../store.ts';
import type { Written } from '../transport.ts';
import { writeByParts } from '../upload/multipart.ts';
import type { Parts } from '../upload/multipart.ts';
import { partSizeFor } from '../upload/part-size.ts';
import { asSourceError, assertAbsent, isUnchanged, sourceChanged } from './copy-of.ts';
import type { Copy } from './copy-of.ts';
import { readSource } from './through-client.ts';

const copyPartSize = 256 * 2 ** 20;

/**
 * Whether the server may take a part from another object: for parts, not for whole objects, Ceph decodes the key twice, so that it reads
 * `a+b` instead of `a%2Bb`, and another version of `a` instead of `a?versionId=1`.
 */
function mayMisreadKey(store: Store, { key }: ObjectAddress): boolean {
  return !store.settings.isAws && /[%?]/.test(key);
}

/** For objects that a single request may not copy, or would take too long to copy. */
export async function copyByParts(store: Store, copy: Copy, throughClient: boolean = mayMisreadKey(store, copy.source)): Promise<Written> {
  const { source, destination, options, from, headers, carried, profile, ctx } = copy;
  const usual = throughClient ? store.memory.partSize : Math.min(copyPartSize, Math.max(smallestPart, store.settings.copyByPartsFrom));
  const size = await partSizeFor(store, destination.bucket, { size: from.size, usual }, ctx);
  let start = 0;
  const parts: Parts = {
    ...(!throughClient && { atOnce: () => bulkAtOnce(store, store.settings.partsAtOnce) }),
    async next() {
      if (start >= from.size) return undefined;
      const first = start;
      const end = Math.min((start += size), from.size);
      const range = `bytes=${first}-${end - 1}`;
      if (throughClient) return { send: (upload, sending) => sendPart(store, copy, { range, size: end - first }, upload, sending) };
      const part = { ...source, ifMatch: from.etag, range };
      return {
        send: (upload, sending) =>
          inTurn(store, { ...sending, isResuming: first > 0 }, () => store.transport.copyPart(part, upload, sending)).catch(
            (error: unknown) => {
              throw asSourceError(error, source);
            },
          ),
      };
    },
    async verify() {
      if (!(await isUnchanged(store, copy))) throw sourceChanged();
      if (options.ifNoneMatch !== undefined) await assertAbsent(store, destination, ctx);
    },
  };
  const condition = options.ifNoneMatch !== undefined && profile?.conditionalComplete === true ? { ifNoneMatch: options.ifNoneMatch } : {};
  return writeByParts(store, destination, { headers: { ...headers, ...carried, ...condition }, parts }, ctx);
}

async function sendPart(
  store: Store,
  copy: Copy,
  read: { readonly range: string; readonly size: number },
  upload: Parameters<Store['transport']['uploadPart']>[0],
  ctx: CallContext,
): ReturnType<Store['transport']['uploadPart']> {
  const held = await store.memory.takeForCopy(read.size, ctx);
  try {
    if (!(await readSource(store, copy, { into: held.buffer, range: read.range }, ctx))) throw sourceChanged();
    const sent = await store.transport.uploadPart(upload, held.buffer, ctx);
    held.release(true);
    return sent;
  } finally {
    held.release(false);
  }
}
