import type { Readable } from 'node:stream';

import { hasCode, isStorageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { putMatchFor } from '../etag.ts';
import { AnswerBody } from '../http/answer-body.ts';
import { isInterrupted } from '../http/socket-errors.ts';
import { guardBody } from '../open-body.ts';
import { wrongLength } from '../ranges.ts';
import type { Store } from '../store.ts';
import { matchesWrite, recoverLostWrite } from '../upload/recover-lost-write.ts';
import { isSame } from './copy-of.ts';
import type { Copy, WrittenUnlessChanged } from './copy-of.ts';

/** Reading with If-Match and writing with If-None-Match work on servers that ignore the conditions of a copy. */
export async function copyThroughClient(store: Store, copy: Copy): Promise<WrittenUnlessChanged> {
  const { source, destination, options, from, headers, carried, profile, ctx } = copy;
  const held = await store.memory.takeForCopy(from.size, ctx);
  const { buffer: data } = held;
  try {
    if (!(await readSource(store, copy, { into: data }, ctx))) return undefined;
    const ifMatch = profile !== undefined && isSame(source, destination) ? putMatchFor(profile, from.etag) : undefined;
    const condition = {
      ...(options.ifNoneMatch !== undefined && { ifNoneMatch: options.ifNoneMatch }),
      // An object written meanwhile is newer than what was read.
      ...(ifMatch !== undefined && { ifMatch }),
    };
    const written = await store.transport
      .put(destination, { kind: 'buffer', data }, { ...headers, ...carried, ...condition }, ctx)
      .catch((error: unknown) =>
        recoverLostWrite(store, destination, error, (now) => matchesWrite(store, { at: destination, now, headers }, data)),
      );
    held.release(true);
    return written;
  } finally {
    held.release(false);
  }
}

/**
 * Reads the source, or a range of it; anew if the connection is cut meanwhile, as often as requests are retried.
 * @param read.into has the size of what is read
 * @returns false if the source is no longer the version that was inspected
 */
export async function readSource(
  store: Store,
  copy: Copy,
  read: { readonly into: Buffer; readonly range?: string },
  ctx: CallContext,
): Promise<boolean> {
  for (let retries = store.settings.maxRetries; ; retries--) {
    const body = await openSource(store, copy, read, ctx);
    if (body === undefined) return false;
    try {
      await fill(read.into, body);
      return true;
    } catch (error) {
      const isCut = isStorageError(error) && isInterrupted(error.cause);
      if (!isCut || retries <= 0) throw error;
    }
  }
}

/** @throws storage_unavailable unless the body is as long */
async function fill(into: Buffer, body: Readable): Promise<void> {
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (length + chunk.length > into.length) throw wrongLength(length + chunk.length, into.length);
    into.set(chunk, length);
    length += chunk.length;
  }
  if (length !== into.length) throw wrongLength(length, into.length);
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
