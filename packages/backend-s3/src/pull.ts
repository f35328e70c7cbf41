import { hasCode } from '@coffer/storage-core';
import type { ByteSink, CallContext, ObjectAddress, Pulled, PullOptions } from '@coffer/storage-core';

import { isOverlooked, notAsked } from './conditions.ts';
import { isEtag } from './etag.ts';
import { assertKeyHolds } from './key-support.ts';
import { isOddRange, lengthOf, partOf, rangeHeader, wrongLength } from './ranges.ts';
import { getObject, infoOf, sizeOf } from './read.ts';
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
  await assertKeyHolds(store, at, ctx);
  if ((range !== undefined && isOddRange(range)) || (ifMatch !== undefined && !isEtag(ifMatch)))
    return pullStream(store, at, options, sink, ctx);
  const guarded = guardedSink(sink);
  const release = await store.downloads.take(1, ctx);
  try {
    const asked = { ...(range !== undefined && { range: rangeHeader(range) }), ...(ifMatch !== undefined && { ifMatch }) };
    let told: ObjectHeaders | undefined;
    let part: ReturnType<typeof partOf> | undefined;
    const begin = (headers: ObjectHeaders): void => {
      isOverlooked(headers, asked);
      part = partOf(headers, range);
      told = headers;
    };
    if (await pull(at, asked, { begin, sink: guarded.sink }, ctx)) {
      const size = part!.total ?? (await sizeOf(store, at, told!, ctx));
      const length = lengthOf(size, part!.resolved);
      if (guarded.received !== length) throw wrongLength(guarded.received, length);
      const info = await infoOf(store, at, told!, size, ctx);
      return part!.resolved === undefined ? { info } : { info, range: part!.resolved };
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
  if (result.kind !== 'object') throw notAsked();
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
        return sink(chunk)?.catch(fail);
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
