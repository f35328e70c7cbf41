import { hasCode } from '@coffer/storage-core';
import type { ByteSink, CallContext, ObjectAddress, Pulled, PullOptions } from '@coffer/storage-core';

import { isNotModified, unexpectedNotModified } from './conditions.ts';
import { isEtag } from './etag.ts';
import { assertKeySupported } from './key-support.ts';
import { isEmptySuffix, lengthOf, rangeHeader, sentRangeOf, wrongLength } from './ranges.ts';
import { getObject, infoOf, lookUpSize } from './read.ts';
import type { Store } from './store.ts';
import type { ObjectHeaders, Transport } from './transport.ts';

type Pull = NonNullable<Transport['pull']>;

/** Requests that a server refuses are repeated as a stream, where conditions and ranges are judged in the order of RFC 9110. */
export async function pullObject(
  store: Store,
  pull: Pull,
  { at, options, sink }: { readonly at: ObjectAddress; readonly options: PullOptions; readonly sink: ByteSink },
  ctx: CallContext,
): Promise<Pulled> {
  const { range, ifMatch } = options;
  await assertKeySupported(store, at, ctx);
  if ((range !== undefined && isEmptySuffix(range)) || (ifMatch !== undefined && !isEtag(ifMatch)))
    return pullStream(store, at, options, sink, ctx);
  const guarded = guardedSink(sink);
  const release = await store.downloads.take(1, ctx);
  try {
    const readHeaders = { ...(range !== undefined && { range: rangeHeader(range) }), ...(ifMatch !== undefined && { ifMatch }) };
    let objectHeaders: ObjectHeaders | undefined;
    let sent: ReturnType<typeof sentRangeOf> | undefined;
    const begin = (headers: ObjectHeaders): void => {
      isNotModified(headers, readHeaders);
      sent = sentRangeOf(headers, range);
      objectHeaders = headers;
    };
    const isRead = await pull(at, readHeaders, { begin, sink: guarded.sink }, ctx);
    if (guarded.failure !== undefined) throw guarded.failure.error; // a sink may throw undefined, which looks like no failure below
    if (isRead) {
      const size = sent!.total ?? (await lookUpSize(store, at, objectHeaders!, ctx));
      const length = lengthOf(size, sent!.resolved);
      if (guarded.received !== length) throw wrongLength(guarded.received, length);
      const info = await infoOf(store, at, objectHeaders!, size, ctx);
      return sent!.resolved === undefined ? { info } : { info, range: sent!.resolved };
    }
  } catch (error) {
    if (guarded.failure !== undefined) throw guarded.failure.error;
    if (!hasCode(error, 'range_not_satisfiable') && !(hasCode(error, 'precondition_failed') && range !== undefined)) throw error;
  } finally {
    release();
  }
  return pullStream(store, at, options, sink, ctx);
}

async function pullStream(store: Store, at: ObjectAddress, options: PullOptions, sink: ByteSink, ctx: CallContext): Promise<Pulled> {
  const { range, ifMatch } = options;
  const result = await getObject(store, at, { ...(range && { range }), ...(ifMatch !== undefined && { ifMatch: [ifMatch] }) }, ctx);
  if (result.kind !== 'object') throw unexpectedNotModified();
  for await (const chunk of result.body) await sink(chunk as Buffer);
  return result.range === undefined ? { info: result.info } : { info: result.info, range: result.range };
}

/** Remembers what the sink threw, so that it can be rethrown as it is. */
function guardedSink(sink: ByteSink): {
  readonly sink: ByteSink;
  readonly failure: { readonly error: unknown } | undefined;
  /** Bytes so far. */
  readonly received: number;
} {
  const guarded = {
    failure: undefined as { readonly error: unknown } | undefined,
    received: 0,
    sink(chunk: Buffer): void | Promise<void> {
      guarded.received += chunk.length;
      try {
        const taking: unknown = sink(chunk); // in JavaScript, anything
        return isThenable(taking) ? Promise.resolve(taking).catch(fail) : undefined;
      } catch (error) {
        fail(error);
      }
    },
  };
  const fail = (error: unknown): never => {
    guarded.failure = { error };
    throw error;
  };
  return guarded;
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof (value as Partial<PromiseLike<void>> | null | undefined)?.then === 'function';
}
