import { pipeline, Transform } from 'node:stream';
import type { Readable } from 'node:stream';

import { evaluateConditions, hasCode, resolveRange, storageError } from '@coffer/storage-core';
import type { ByteRange, CallContext, GetOptions, GetResult, ObjectAddress, ObjectInfo, ResolvedRange } from '@coffer/storage-core';

import { isEtag } from './etag.ts';
import { decodeMetadata } from './metadata.ts';
import { guardBody } from './open-body.ts';
import { assertKeyHolds } from './store.ts';
import type { Store } from './store.ts';
import type { ObjectHeaders, ReadHeaders } from './transport.ts';

export async function headObject(store: Store, at: ObjectAddress, ctx: CallContext): Promise<ObjectInfo> {
  store.tenants.meet(ctx.tenant);
  const headers = await lookAt(store, at, ctx);
  if (headers.contentLength === undefined)
    throw storageError('not_supported', 'The storage provider does not tell how large the object is.');
  return infoOf(store, at, headers, headers.contentLength, ctx);
}

async function lookAt(store: Store, at: ObjectAddress, ctx: CallContext): Promise<ObjectHeaders> {
  await assertKeyHolds(store, at, ctx);
  return withBucketLooked(store, at, ctx, () => store.transport.head(at, ctx));
}

/**
 * The size of an object that was sent without it.
 * @param sent what came with the object
 * @throws storage_unavailable when it has become another one
 */
export async function sizeOf(store: Store, at: ObjectAddress, sent: ObjectHeaders, ctx: CallContext): Promise<number> {
  const { etag, size } = await headObject(store, at, ctx);
  // Who leaves out the length may leave out the ETag as well.
  if (sent.etag === '' || etag === sent.etag) return size;
  throw storageError('storage_unavailable', 'The object was replaced while it was opened.');
}

/**
 * A lone condition goes to the provider. Several of them, lists, and conditions beside a range are evaluated here, since
 * servers differ about their order; the object is then read on the ETag that was looked at.
 */
export async function getObject(store: Store, at: ObjectAddress, options: GetOptions, ctx: CallContext): Promise<GetResult> {
  const { range, ...conditions } = options;
  await assertKeyHolds(store, at, ctx);
  const release = await store.downloads.take(1, ctx);
  try {
    let headers = passedOn(options);
    if (headers === undefined) {
      const { etag, lastModified, contentLength } = await lookAt(store, at, ctx);
      if (evaluateConditions({ etag, lastModified }, conditions) === 'not_modified') {
        release();
        return { kind: 'not_modified', etag, lastModified };
      }
      if (range !== undefined && contentLength !== undefined) resolveRange(range, contentLength);
      headers = { ifMatch: etag };
    }
    const asked = range === undefined ? headers : { ...headers, range: rangeHeader(range) };
    const result = await store.transport.get(at, asked, ctx);
    if (result.kind === 'not_modified') {
      release();
      const etag = result.etag ?? headers.ifNoneMatch ?? (await lookAt(store, at, ctx)).etag;
      return { ...result, etag };
    }
    if (isNotWanted(result, headers)) {
      release();
      const { etag, lastModified } = result.headers;
      return { kind: 'not_modified', etag, lastModified };
    }
    if (result.isWhole === true) release();
    else guardBody(result.body, { signal: ctx.signal, idleSeconds: store.settings.timeout, closed: release });
    return await openedObject(store, at, result, range, ctx).catch((error: unknown) => {
      result.body.destroy();
      throw error;
    });
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
  at: ObjectAddress,
  { headers, body }: { readonly headers: ObjectHeaders; readonly body: Readable },
  range: ByteRange | undefined,
  ctx: CallContext,
): Promise<GetResult> {
  const { total, resolved } = partOf(headers, range);
  if (total === undefined && store.settings.maxPoolConnections === 1) {
    throw storageError('not_supported', 'The storage provider sends objects without their size; that needs two connections to it.');
  }
  const size = total ?? (await sizeOf(store, at, headers, ctx));
  if (body.errored !== null) throw body.errored; // it has lain there for too long
  const info = await infoOf(store, at, headers, size, ctx);
  const whole = headers.contentLength === undefined ? counted(body, lengthOf(size, resolved)) : body;
  return { kind: 'object', info, body: whole, ownsChunks: true, ...(resolved && { range: resolved }) };
}

export function lengthOf(size: number, range: ResolvedRange | undefined): number {
  return range === undefined ? size : range.end - range.start + 1;
}

/** The body of an answer that does not say how long it is, and so ends early without saying so either. */
function counted(body: Readable, length: number): Readable {
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

export function wrongLength(received: number, length: number): Error {
  return storageError('storage_unavailable', `The storage provider sent ${received} bytes where ${length} belong.`, { retryAfter: 1 });
}

/** The conditions as headers, where the provider evaluates them as RFC 9110 has it; undefined where it may not. */
function passedOn({ range, ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince }: GetOptions): ReadHeaders | undefined {
  const given = [ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince].filter((condition) => condition !== undefined);
  if (range !== undefined && isOddRange(range)) return undefined;
  if (given.length === 0) return {};
  if (given.length > 1 || range !== undefined) return undefined;
  if (ifModifiedSince !== undefined) return { ifModifiedSince };
  if (ifUnmodifiedSince !== undefined) return { ifUnmodifiedSince };
  const etags = ifMatch ?? ifNoneMatch ?? [];
  const [etag] = etags;
  if (etags === '*' || etag === undefined || etags.length > 1 || !isEtag(etag)) return undefined;
  return ifMatch === undefined ? { ifNoneMatch: etag } : { ifMatch: etag };
}

/**
 * Whether what came should not have: some servers ignore conditions.
 * @throws precondition_failed
 */
export function isOverlooked({ etag, lastModified }: Pick<ObjectHeaders, 'etag' | 'lastModified'>, asked: ReadHeaders): boolean {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = asked;
  // What a server leaves out cannot be compared.
  const isNamed = etag !== '';
  const isDated = lastModified.getTime() !== 0;
  const conditions = {
    ...(isNamed && ifMatch !== undefined && { ifMatch: [ifMatch] }),
    ...(isNamed && ifNoneMatch !== undefined && { ifNoneMatch: [ifNoneMatch] }),
    ...(isDated && ifModifiedSince !== undefined && { ifModifiedSince }),
    ...(isDated && ifUnmodifiedSince !== undefined && { ifUnmodifiedSince }),
  };
  return evaluateConditions({ etag, lastModified }, conditions) === 'not_modified';
}

/** The same for an answer whose body nobody reads then. @throws precondition_failed */
function isNotWanted({ headers, body }: { readonly headers: ObjectHeaders; readonly body: Readable }, asked: ReadHeaders): boolean {
  let isWanted = false;
  try {
    isWanted = !isOverlooked(headers, asked);
    return !isWanted;
  } finally {
    if (!isWanted) body.destroy();
  }
}

/** Servers differ about it. */
export function isOddRange(range: ByteRange): boolean {
  return 'suffix' in range ? range.suffix === 0 || range.suffix > 2 ** 50 : (range.end ?? 0) > 2 ** 50;
}

export function rangeHeader(range: ByteRange): string {
  return 'suffix' in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ''}`;
}

/** Which bytes came, and of how many; the `total` is undefined where a body of all of them was sent without its length. */
export function partOf(
  { contentLength, contentRange }: ObjectHeaders,
  range: ByteRange | undefined,
): { readonly total: number | undefined; readonly resolved?: ResolvedRange } {
  if (range === undefined) return { total: contentLength };
  const [, start, end, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '') ?? [];
  if (size !== undefined) return { total: Number(size), resolved: { start: Number(start), end: Number(end) } };
  // All of it was sent: right only where the range is all of it.
  if (contentLength !== undefined) {
    const resolved = resolveRange(range, contentLength);
    if (resolved.start === 0 && resolved.end === contentLength - 1) return { total: contentLength, resolved };
  }
  throw storageError('not_supported', 'The storage provider does not serve ranges.');
}

export async function infoOf(store: Store, at: ObjectAddress, headers: ObjectHeaders, size: number, ctx: CallContext): Promise<ObjectInfo> {
  const { etag, contentType, lastModified, storageClass, versionId } = headers;
  const metadata = await decodeMetadata(store, at.bucket, headers.metadata, ctx);
  return {
    bucket: at.bucket,
    key: at.key,
    size,
    etag,
    contentType,
    lastModified,
    storageClass,
    metadata,
    ...(versionId !== undefined && { versionId }),
  };
}

/** HEAD answers 404 for a missing object as for a missing bucket: which one it was shows by a look at the bucket. */
export async function withBucketLooked<T>(store: Store, at: ObjectAddress, ctx: CallContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!hasCode(error, 'file_not_found')) throw error;
    await store.transport.headBucket(at.bucket, ctx).catch((cause: unknown) => {
      if (hasCode(cause, 'no_such_bucket')) throw cause;
      // Who may not look at the bucket learns of the object only.
    });
    throw error;
  }
}
