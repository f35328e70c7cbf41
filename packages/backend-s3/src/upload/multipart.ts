import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { hasCode, noContext, storageError, untilAborted } from '@coffer/storage-core';
import type { CallContext, ObjectAddress } from '@coffer/storage-core';

import { mayBeUnderWay } from '../in-doubt.ts';
import { fewestMaxParts, maxParts } from '../limits.ts';
import { causeName } from '../provider-error.ts';
import type { Store } from '../store.ts';
import type { CarriedHeaders, SentPart, Upload, WriteHeaders, Written } from '../transport.ts';
import { maxPartsIn } from './part-size.ts';
import { isDescribedBy, recoverLostWrite } from './recover-lost-write.ts';

/** One part: bytes in memory, or a range of another object. */
interface Part {
  send(upload: Upload & { readonly number: number }, ctx: CallContext): Promise<Omit<SentPart, 'number'>>;
  /** Called once, when the part no longer needs its bytes. */
  done?(sent: boolean): void;
}

export interface Parts {
  /** The most that may be sent at once, asked before each part; default: as many as the settings allow. */
  readonly atOnce?: () => number;
  /** Undefined after the last part. */
  next(): Promise<Part | undefined>;
  /** The upload has failed: a pending `next` must not wait any longer. */
  fail?(error: Error): void;
  /** Called before the parts become the object. @throws if they must not */
  verify?(): Promise<void>;
}

/** Enough parts at once to keep a nearby provider busy. */
const defaultConcurrency = 4;
/** Milliseconds after which parts in flight count as slow. */
const slowAfter = 250;
/** Milliseconds that an aborted call waits for the cleanup. */
const abortGrace = 1000;

/** Writes an object part by part, several at a time. On any error, the upload is aborted, unless it may be about to become the object. */
export async function writeByParts(
  store: Store,
  at: ObjectAddress,
  { headers, parts }: { readonly headers: WriteHeaders & CarriedHeaders; readonly parts: Parts },
  ctx: CallContext,
): Promise<Written> {
  const { ifNoneMatch: _ifNoneMatch, ifMatch: _ifMatch, ...described } = headers;
  // Not cancellable: an upload whose id nobody received could not be aborted.
  const creating = store.transport.createUpload(at, described, noContext).then((uploadId): Upload => ({ at, uploadId }));
  const upload = await untilAborted(creating, ctx.signal).catch((error: unknown) => {
    void store.cleanup.run(creating.then((created) => abortUpload(store, created))); // in case it is created after all
    throw error;
  });
  let isCompleting = false;
  try {
    const sent = await sendAll(store, upload, parts, ctx);
    ctx.signal?.throwIfAborted();
    isCompleting = true;
    return await complete(store, upload, sent, headers);
  } catch (error) {
    // Ceph lets an upload be aborted while it is being completed, and then drops the bytes of the new object. If nothing comes of it, it is
    // left like that of a killed process.
    if (isCompleting && mayBeUnderWay(error) && !hasCode(error, 'precondition_failed')) throw error;
    const aborting = store.cleanup.run(abortUpload(store, upload)); // leftovers are up to the lifecycle rule, or the sweep
    // A caller who has left does not wait for a provider that does not answer.
    await (ctx.signal?.aborted === true ? Promise.race([aborting, delay(abortGrace, undefined, { ref: false })]) : aborting);
    throw error;
  }
}

async function sendAll(store: Store, upload: Upload, parts: Parts, ctx: CallContext): Promise<SentPart[]> {
  const giveUp = new AbortController();
  const signal = ctx.signal === undefined ? giveUp.signal : AbortSignal.any([ctx.signal, giveUp.signal]);
  const sent: SentPart[] = [];
  const inFlight = new Set<Promise<void>>();
  const { partsAtOnce, maxPoolConnections } = store.settings;
  // A part that waits for a connection gains nothing, and if parts take long, it times out before it gets one.
  const maxInFlight = (): number => Math.min(parts.atOnce?.() ?? partsAtOnce, maxPoolConnections);
  let limit = fewestMaxParts; // the server is asked only about more
  let failure: Error | undefined;
  const fail = (error: unknown): void => {
    if (failure !== undefined) return;
    failure = error as Error; // or any other value that the caller's stream or signal failed with
    giveUp.abort(failure);
    parts.fail?.(failure);
  };
  const send = async (part: Part, number: number): Promise<void> => {
    let isSent = false;
    try {
      sent[number - 1] = { number, ...(await part.send({ ...upload, number }, { ...ctx, signal })) };
      isSent = true;
    } catch (error) {
      fail(error);
    }
    part.done?.(isSent);
  };
  try {
    for (let number = 1; failure === undefined; number++) {
      // So much has been sent already that no failure to find out may cost it.
      if (number > limit) limit = await maxPartsIn(store, upload.at.bucket, ctx).catch(() => maxParts);
      const part = await parts.next();
      if (part === undefined) break;
      if (number > limit) {
        part.done?.(false);
        throw storageError(
          'payload_too_large',
          `An upload of unknown length can have at most ${limit} parts of ${store.memory.partSize} bytes.`,
        );
      }
      const sending: Promise<void> = send(part, number).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
      await waitForCapacity(inFlight, maxInFlight);
    }
    await Promise.all(inFlight);
    if (failure === undefined) await parts.verify?.();
  } catch (error) {
    fail(error);
    await Promise.all(inFlight);
  }
  if (failure !== undefined) throw failure;
  return sent;
}

/** With a distant provider, the time until a part is acknowledged limits an upload, and so does the number of parts in flight. */
async function waitForCapacity(inFlight: ReadonlySet<Promise<void>>, maxInFlight: () => number): Promise<void> {
  const isBusy = inFlight.size >= defaultConcurrency && inFlight.size < maxInFlight();
  if (isBusy) await Promise.race([...inFlight, delay(slowAfter, undefined, { ref: false })]);
  while (inFlight.size >= maxInFlight()) await Promise.race(inFlight);
}

async function complete(store: Store, upload: Upload, sent: readonly SentPart[], headers: WriteHeaders): Promise<Written> {
  try {
    // Not cancellable either: from here on the object may exist.
    const written = await store.transport.completeUpload(upload, sent, headers, noContext);
    return { ...written, etag: written.etag === '' ? etagOfParts(sent) : written.etag };
  } catch (error) {
    // Ceph takes any number of parts, and refuses here those that are too many for its `rgw_multipart_part_upload_limit`.
    if (hasCode(error, 'range_not_satisfiable'))
      throw storageError('payload_too_large', `The storage provider does not accept an upload of ${sent.length} parts.`, {
        cause: (error as Error).cause, // the answer itself, which shows that the server is done with it
      });
    return recoverLostWrite(store, upload.at, error, (now) => now.etag === etagOfParts(sent) && isDescribedBy(now, headers));
  }
}

/** As S3 builds it: the MD5 of the parts' MD5s, and the number of parts. */
function etagOfParts(sent: readonly SentPart[]): string {
  const md5 = createHash('md5');
  for (const { etag } of sent) md5.update(Buffer.from(etag, 'hex'));
  return `${md5.digest('hex')}-${sent.length}`;
}

/** Aborts an upload; it is fine if that is already gone. Cleanup after a caller who has left passes no context. */
export async function abortUpload(store: Store, upload: Upload, ctx: CallContext = noContext): Promise<void> {
  try {
    await store.transport.abortUpload(upload, ctx);
  } catch (error) {
    if (causeName(error) !== 'NoSuchUpload' && !hasCode(error, 'file_not_found', 'no_such_bucket')) throw error;
  }
}
