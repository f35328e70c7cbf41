import { pipeline, Transform } from 'node:stream';
import type { Readable } from 'node:stream';

import { evaluateConditions, hasCode, resolveRange, storageError } from '@coffer/storage-core';
import type { ByteRange, CallContext, GetOptions, GetResult, ObjectAddress, ObjectInfo } from '@coffer/storage-core';

import { BodyResumer } from './body-resumer.ts';
import { conditionHeaders, isNotModified, unexpectedNotModified } from './conditions.ts';
import { AnswerBody } from './http/answer-body.ts';
import { assertKeySupported } from './key-support.ts';
import { decodeMetadata } from './metadata.ts';
import type { Metadata } from './metadata.ts';
import { guardBody } from './open-body.ts';
import { lengthOf, rangeHeader, sentRangeOf, wrongLength } from './ranges.ts';
import type { Store } from './store.ts';
import type { ObjectHeaders } from './transport.ts';

export async function headObject(store: Store, at: ObjectAddress, ctx: CallContext): Promise<ObjectInfo> {
  store.tenants.note(ctx.tenant);
  const headers = await fetchHeaders(store, at, ctx);
  return infoOf(store, at, headers, requireSize(headers), ctx);
}

async function fetchHeaders(store: Store, at: ObjectAddress, ctx: CallContext): Promise<ObjectHeaders> {
  await assertKeySupported(store, at, ctx);
  return withBucketCheck(store, at, ctx, () => store.transport.head(at, ctx));
}

/** @throws not_supported */
export function requireSize({ contentLength }: ObjectHeaders): number {
  if (contentLength === undefined) throw storageError('not_supported', 'The storage provider does not report the size of the object.');
  return contentLength;
}

/**
 * Looks up the size of an object that was sent without it.
 * @param sent the headers that came with the object
 * @throws storage_unavailable if the object has been replaced since
 */
export async function lookUpSize(store: Store, at: ObjectAddress, sent: ObjectHeaders, ctx: CallContext): Promise<number> {
  const { etag, size } = await headObject(store, at, ctx);
  // A server that leaves out the length may leave out the ETag as well.
  if (sent.etag === '' || etag === sent.etag) return size;
  throw storageError('storage_unavailable', 'The object was replaced while it was opened.');
}

/**
 * A single condition goes to the provider. Several conditions, lists of ETags, and conditions beside a range are evaluated here, since
 * servers differ about their order; the object is then read with the ETag that was inspected.
 */
export async function getObject(store: Store, at: ObjectAddress, options: GetOptions, ctx: CallContext): Promise<GetResult> {
  const { range, ...conditions } = options;
  await assertKeySupported(store, at, ctx);
  const release = await store.downloads.take(1, ctx);
  try {
    let headers = conditionHeaders(options);
    if (headers === undefined) {
      const { etag, lastModified, contentLength } = await fetchHeaders(store, at, ctx);
      if (evaluateConditions({ etag, lastModified }, conditions) === 'not_modified') {
        release();
        return { kind: 'not_modified', etag, lastModified };
      }
      if (range !== undefined && contentLength !== undefined) resolveRange(range, contentLength);
      headers = { ifMatch: etag };
    }
    const readHeaders = range === undefined ? headers : { ...headers, range: rangeHeader(range) };
    const result = await store.transport.get(at, readHeaders, ctx);
    if (result.kind === 'not_modified') {
      if (headers.ifNoneMatch === undefined && headers.ifModifiedSince === undefined) throw unexpectedNotModified();
      release();
      const etag = result.etag ?? headers.ifNoneMatch ?? (await fetchHeaders(store, at, ctx)).etag;
      return { ...result, etag };
    }
    try {
      if (isNotModified(result.headers, headers)) {
        result.body.destroy();
        release();
        const { etag, lastModified } = result.headers;
        return { kind: 'not_modified', etag, lastModified };
      }
      if (!(result.body instanceof AnswerBody)) release();
      else guardBody(result.body, { signal: ctx.signal, idleSeconds: store.settings.timeout, onClose: release });
      return await openedObject(store, { at, ...result, release }, range, ctx);
    } catch (error) {
      result.body.destroy();
      throw error;
    }
  } catch (error) {
    release();
    if (!hasCode(error, 'range_not_satisfiable') || range === undefined) throw error;
    // Not every server says how large the object is.
    resolveRange(range, (await headObject(store, at, ctx)).size);
    throw error;
  }
}

async function openedObject(
  store: Store,
  opened: { readonly at: ObjectAddress; readonly headers: ObjectHeaders; readonly body: Readable; readonly release: () => void },
  range: ByteRange | undefined,
  ctx: CallContext,
): Promise<GetResult> {
  const { at, headers, body, release } = opened;
  const { contentLength, etag, isResumable, versionId } = headers;
  const { total, resolved } = sentRangeOf(headers, range);
  // Before anything else happens to the body.
  if (body instanceof AnswerBody && total !== undefined && contentLength !== undefined && isResumable && etag !== '') {
    const whole = { start: 0, end: total - 1 };
    body.resumer = new BodyResumer(store, { at, etag, versionId, size: total, range: resolved ?? whole, body, release }, ctx);
  }
  if (total === undefined && store.settings.maxPoolConnections === 1) {
    throw storageError('not_supported', 'The storage provider sends objects without their size; reading them needs two connections to it.');
  }
  const size = total ?? (await lookUpSize(store, at, headers, ctx));
  if (body.errored !== null) throw body.errored; // it was idle for too long
  const info = await infoOf(store, at, headers, size, ctx);
  const whole = contentLength === undefined ? withLengthCheck(body, lengthOf(size, resolved)) : body;
  return { kind: 'object', info, body: whole, ownsChunks: true, ...(resolved && { range: resolved }) };
}

/** A body whose answer does not state its length: without counting, its early end would go unnoticed. */
function withLengthCheck(body: Readable, length: number): Readable {
  let received = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length;
      done(null, chunk);
    },
    flush: (done) => done(received === length ? null : wrongLength(received, length)),
  });
  return pipeline(body, counter, () => {});
}

export async function infoOf(store: Store, at: ObjectAddress, headers: ObjectHeaders, size: number, ctx: CallContext): Promise<ObjectInfo> {
  return toObjectInfo(at, headers, size, await decodeMetadata(store, at.bucket, headers.metadata, ctx));
}

/** Describes an object, with the metadata as it was sent unless other metadata is given. */
export function toObjectInfo(at: ObjectAddress, headers: ObjectHeaders, size: number, metadata: Metadata = headers.metadata): ObjectInfo {
  const { etag, contentType, contentEncoding, lastModified, storageClass, versionId } = headers;
  return {
    bucket: at.bucket,
    key: at.key,
    size,
    etag,
    contentType,
    ...(contentEncoding !== undefined && { contentEncoding }),
    lastModified,
    storageClass,
    metadata,
    ...(versionId !== undefined && { versionId }),
  };
}

/** HEAD answers 404 for a missing object and for a missing bucket alike; looking at the bucket tells which it was. */
export async function withBucketCheck<T>(store: Store, at: ObjectAddress, ctx: CallContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!hasCode(error, 'file_not_found')) throw error;
    await store.transport.headBucket(at.bucket, ctx).catch((cause: unknown) => {
      if (hasCode(cause, 'no_such_bucket')) throw cause;
      // Credentials that may not look at the bucket get the error of the object.
    });
    throw error;
  }
}
