import type { Readable } from 'node:stream';

import { hasCode, isStorageError, readAll } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { putMatchFor } from '../etag.ts';
import { AnswerBody } from '../http/answer-body.ts';
import { isConnectionLost } from '../http/socket-errors.ts';
import { guardBody } from '../open-body.ts';
import type { EndpointProfile } from '../profile.ts';
import { wrongLength } from '../ranges.ts';
import type { Store } from '../store.ts';
import { matchesWrite, recoverLostWrite } from '../upload/recover-lost-write.ts';
import { isSame } from './copy-of.ts';
import type { Copy, WrittenUnlessChanged } from './copy-of.ts';

/** Reading with If-Match and writing with If-None-Match work on servers that ignore the conditions of a copy. */
export async function copyThroughClient(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<WrittenUnlessChanged> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  const held = await store.memory.takeForCopy(from.size, ctx);
  try {
    const data = await readSource(store, copy, { size: from.size }, ctx);
    if (data === undefined) return undefined;
    const ifMatch = profile !== undefined && isSame(source, destination) ? putMatchFor(profile, from.etag) : undefined;
    const condition = {
      ...(options.ifNoneMatch !== undefined && { ifNoneMatch: options.ifNoneMatch }),
      // An object written meanwhile is newer than what was read.
      ...(ifMatch !== undefined && { ifMatch }),
    };
    return await store.transport
      .put(destination, { kind: 'buffer', data }, { ...headers, ...carried, ...condition }, ctx)
      .catch((error: unknown) => recoverLostWrite(store, destination, error, (now) => matchesWrite(now, data, headers)));
  } finally {
    held.release(false);
  }
}

/**
 * Reads the source, or `size` bytes of it; anew if the connection is cut meanwhile, as often as requests are retried. Undefined if it is no
 * longer the version that was inspected.
 */
export async function readSource(
  store: Store,
  copy: Copy,
  read: { readonly size: number; readonly range?: string },
  ctx: CallContext,
): Promise<Buffer | undefined> {
  for (let retries = store.settings.maxRetries; ; retries--) {
    const body = await openSource(store, copy, read, ctx);
    if (body === undefined) return undefined;
    try {
      const data = await readAll(body);
      if (data.length !== read.size) throw wrongLength(data.length, read.size);
      return data;
    } catch (error) {
      const isCut = isConnectionLost(isStorageError(error) ? error.cause : error);
      if (!isCut || retries <= 0) throw error;
    }
  }
}

async function openSource(
  store: Store,
  { source, from }: Copy,
  { range }: { readonly range?: string },
  ctx: CallContext,
): Promise<Readable | undefined> {
  const read = { ifMatch: from.etag, ...(range !== undefined && { range }) };
  const opened = await store.transport.get(source, read, ctx).catch((error: unknown) => {
    if (hasCode(error, 'precondition_failed')) return undefined;
    throw error;
  });
  if (opened === undefined || opened.kind === 'not_modified') return undefined;
  if (opened.headers.etag !== '' && opened.headers.etag !== from.etag) {
    opened.body.destroy();
    return undefined;
  }
  if (opened.body instanceof AnswerBody) guardBody(opened.body, { signal: ctx.signal, idleSeconds: store.settings.timeout, onClose() {} });
  return opened.body;
}
