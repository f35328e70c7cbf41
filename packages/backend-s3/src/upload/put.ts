import { Readable } from 'node:stream';

import { destroyOnAbort, discard, hasCode, sizeMismatch, storageError } from '@coffer/storage-core';
import type { Body, CallContext, ObjectAddress, ObjectInfo, PutOptions, StorageError } from '@coffer/storage-core';

import { aclHeader } from '../acl-header.ts';
import { translateAclError } from '../acl-support.ts';
import { inTurn } from '../bulk-request.ts';
import { isEtag, putMatchFor } from '../etag.ts';
import { largestObject, largestPut } from '../limits.ts';
import { encodeMetadata, translateNameError } from '../metadata.ts';
import type { Store } from '../store.ts';
import type { KnownSums, WriteHeaders, Written } from '../transport.ts';
import { keepsUncomparedVersions } from '../versioning.ts';
import { assertWriteSupported } from '../write-support.ts';
import { DeclaredSums, partSum, verifySums } from './checksums.ts';
import { ChunkReader } from './chunk-reader.ts';
import { UploadMemory } from './memory.ts';
import { writeByParts } from './multipart.ts';
import type { Parts } from './multipart.ts';
import { partSizeFor } from './part-size.ts';
import { readPart } from './read-part.ts';
import type { FilledBuffer } from './read-part.ts';
import { matchesWrite, recoverLostWrite } from './recover-lost-write.ts';

interface Write {
  readonly at: ObjectAddress;
  readonly headers: WriteHeaders;
  readonly options: PutOptions;
  readonly ctx: CallContext;
  /** Whether the object may be written by parts: there is no condition, or CompleteMultipartUpload enforces it. */
  readonly byParts: boolean;
}

/**
 * Bodies up to `partSize` are collected first and sent by a single PUT, so that a slow client holds no socket, checksums are known before
 * anything is sent, and the PUT can be retried. Larger bodies are sent part by part.
 */
export async function putObject(store: Store, at: ObjectAddress, body: Body, options: PutOptions, ctx: CallContext): Promise<ObjectInfo> {
  let write: Write | undefined;
  try {
    const given = body.kind === 'buffer' ? body.data.byteLength : 0;
    if (body.kind === 'stream') {
      body.stream.on('error', () => {}); // until somebody reads it
      destroyOnAbort(body.stream, ctx.signal);
    }
    store.tenants.note(ctx.tenant);
    await assertWriteSupported(store, at, options, ctx);
    write = { at, options, ctx, ...(await headersFor(store, at.bucket, options, ctx)) };
    const { size, ...written } = await (body.kind === 'buffer'
      ? putBuffer(store, { data: body.data, size: given }, write)
      : putStream(store, body, write));
    const { contentType, metadata = {}, storageClass = 'STANDARD', sha256 } = options;
    const info = { ...at, size, contentType, storageClass, metadata: { ...metadata }, lastModified: new Date(), ...written };
    return sha256 === undefined ? info : { ...info, sha256 };
  } catch (error) {
    discard(body, error instanceof Error ? error : undefined);
    if (options.ifMatch !== undefined && (await refusesEveryMatch(store, at.bucket, error, ctx))) throw versionsNotCompared(error);
    // Servers differ about the error if there is no object to match.
    if (options.ifMatch === undefined || !hasCode(error, 'file_not_found'))
      throw translateNameError(translateAclError(error, options.acl), write?.headers.metadata);
    throw storageError('precondition_failed', 'There is no object with this key.', { cause: error });
  }
}

function versionsNotCompared(cause?: unknown): StorageError {
  const message =
    'This storage provider does not evaluate the conditions of a write in buckets that keep versions, as far as could be tried out.';
  return storageError('not_supported', message, { cause });
}

/**
 * Where versions are kept, Ceph refuses If-Match whatever the ETag: who reads the object and tries again would do so for ever. Only a refusal
 * is worth a look at the bucket.
 */
async function refusesEveryMatch(store: Store, bucket: string, error: unknown, ctx: CallContext): Promise<boolean> {
  const profile = store.endpoint.known;
  if (!hasCode(error, 'precondition_failed') || profile?.conditionalPutOfVersions !== false) return false;
  return keepsUncomparedVersions(store, bucket, profile, ctx).catch(() => false);
}

type Put = Written & { readonly size: number };

async function headersFor(
  store: Store,
  bucket: string,
  options: PutOptions,
  ctx: CallContext,
): Promise<Pick<Write, 'headers' | 'byParts'>> {
  const { sha256: _sha256, md5: _md5, acl, ifMatch, ...others } = options;
  const metadata = await encodeMetadata(store, bucket, options.metadata ?? {}, ctx);
  const headers = { ...others, ...aclHeader(acl), metadata };
  if (ifMatch === undefined && options.ifNoneMatch === undefined) return { headers, byParts: true };
  if (ifMatch !== undefined && !isEtag(ifMatch)) throw storageError('precondition_failed', 'The object has a different ETag.');
  const profile = await store.endpoint.profile(bucket, ctx);
  const { conditionalPut, conditionalComplete } = profile;
  const match = ifMatch === undefined ? undefined : putMatchFor(profile, ifMatch);
  if ((options.ifNoneMatch !== undefined && !conditionalPut) || (ifMatch !== undefined && match === undefined)) {
    throw storageError('not_supported', 'This storage provider does not enforce the conditions of a write.');
  }
  if (options.ifNoneMatch !== undefined && (await keepsUncomparedVersions(store, bucket, profile, ctx))) throw versionsNotCompared();
  return { headers: match === undefined ? headers : { ...headers, ifMatch: match }, byParts: conditionalComplete };
}

/** @param body its memory may be transferred elsewhere or shrunk at any time: its bytes are gone then */
async function putBuffer(store: Store, { data, size }: { readonly data: Uint8Array; readonly size: number }, write: Write): Promise<Put> {
  const assertKept = (): void => {
    if (data.byteLength !== size) throw sizeMismatch(data.byteLength, size);
  };
  assertKept();
  if (size > store.memory.partSize && write.byParts) {
    verifySums(data, write.options);
    const partSize = await partSizeFor(store, write.at.bucket, { size, usual: store.memory.partSize }, write.ctx);
    let start = 0;
    const parts: Parts = {
      next: async () => {
        if (start >= size) return undefined;
        assertKept();
        const part = data.subarray(start, (start += partSize));
        const sum = partSum(part, write.options);
        return { send: (upload, ctx) => store.transport.uploadPart({ ...upload, ...sum }, part, ctx) };
      },
    };
    return { size, ...(await writeByParts(store, write.at, { headers: write.headers, parts }, write.ctx)) };
  }
  return putWhole(store, data, write);
}

async function putWhole(store: Store, data: Uint8Array, { at, headers, options, ctx }: Write): Promise<Put> {
  verifySums(data, options);
  const size = data.byteLength; // whatever becomes of the memory once it has been sent
  const written = await store.transport
    .put(at, { kind: 'buffer', data, ...declaredIn(options) }, headers, ctx)
    .catch((error: unknown) => recoverLostWrite(store, at, error, (now) => matchesWrite(store, { at, now, headers }, data)));
  return { size, ...written };
}

async function putStream(store: Store, { stream, size, sizeHint }: Extract<Body, { kind: 'stream' }>, write: Write): Promise<Put> {
  const { memory } = store;
  if (size !== undefined && size > memory.partSize && !write.byParts) {
    if (size > largestPut) throw storageError('not_supported', 'This storage provider does not enforce conditions on objects over 5 GiB.');
    return inTurn(store, write.ctx, () => putStreaming(store, stream, size, write));
  }
  const reader = new ChunkReader(stream);
  if (size === undefined) {
    // If the hint announces more than a few bytes, do not collect some only to copy them.
    if (sizeHint !== undefined && sizeHint > UploadMemory.unmeteredBytes)
      return putUnknown(store, { reader, stream, chunks: [], sizeHint }, write);
    const chunks = await reader.chunks(UploadMemory.unmeteredBytes);
    const isWhole = reader.size < UploadMemory.unmeteredBytes || (reader.size <= memory.partSize && !(await reader.hasMore()));
    if (isWhole) return putWhole(store, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks), write);
    return putUnknown(store, { reader, stream, chunks, sizeHint }, write);
  }
  if (size > memory.partSize) {
    const partSize = await partSizeFor(store, write.at.bucket, { size, usual: memory.partSize }, write.ctx);
    return putParts(store, { reader, stream, size, partSize }, write);
  }
  const { held, end } = await readPart(store, reader, { size, mayBeLast: true }, write.ctx);
  try {
    if (end < size) throw sizeMismatch(end, size);
    if (await reader.hasMore()) throw sizeMismatch(size + 1, size);
    const put = await putWhole(store, held.buffer, write);
    held.release(true);
    return put;
  } finally {
    held.release(false);
  }
}

interface Source {
  readonly reader: ChunkReader;
  readonly stream: Readable;
  readonly size?: number;
  /** Bytes of every part but the last one. */
  readonly partSize: number;
  /** The first bytes. The caller releases the memory if no part does. */
  readonly first?: FilledBuffer;
}

interface Unknown {
  readonly reader: ChunkReader;
  readonly stream: Readable;
  /** What has already been read. */
  readonly chunks: readonly Buffer[];
  readonly sizeHint: number | undefined;
}

/** Bytes: forms may end slightly sooner or later than their hints say. */
const hintSlack = 1024;

/**
 * Sends a stream that turned out to be more than a few bytes. One part is filled before deciding how to send it. It takes no more memory
 * than the hint announces; a wrong hint costs a copy.
 */
async function putUnknown(store: Store, { reader, stream, chunks, sizeHint = Infinity }: Unknown, write: Write): Promise<Put> {
  const { memory } = store;
  // A hint beyond the largest possible object, here or of as many parts as this server takes, must mean something else.
  const size = sizeHint > largestObject ? 0 : sizeHint + hintSlack;
  const wanted = await partSizeFor(store, write.at.bucket, { size, usual: memory.partSize }, write.ctx);
  const partSize = wanted > largestPut ? memory.partSize : wanted;
  const expected = Math.min(Math.max(sizeHint, reader.size) + hintSlack, partSize);
  if (chunks.length > 0) reader.unread(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
  let { held, end } = await readPart(store, reader, { size: expected, mayBeLast: true }, write.ctx);
  try {
    if (end === expected && expected < partSize && (await reader.hasMore())) {
      held.release(false); // nobody waits for memory while holding some
      reader.unread(held.buffer);
      ({ held, end } = await readPart(store, reader, { size: partSize, mayBeLast: true }, write.ctx));
    }
    if (end < held.buffer.length || !(await reader.hasMore())) {
      const put = await putWhole(store, held.buffer.subarray(0, end), write);
      held.release(true);
      return put;
    }
    if (!write.byParts) {
      throw storageError(
        'not_supported',
        'This storage provider does not enforce conditions on uploads of unknown length; declare the size.',
      );
    }
    return await putParts(store, { reader, stream, partSize, first: { held, end } }, write);
  } finally {
    held.release(false); // does nothing if already released
  }
}

async function putParts(
  store: Store,
  { reader, stream, size, partSize, first }: Source,
  { at, headers, options, ctx }: Write,
): Promise<Put> {
  const sums = new DeclaredSums(options);
  let ready = first;
  const parts: Parts = {
    async next() {
      const { held, end } = ready ?? (await nextPart());
      ready = undefined;
      if (end === 0) {
        held.release(true);
        return undefined;
      }
      const data = held.buffer.subarray(0, end);
      sums.update(data);
      const sum = partSum(data, options);
      return {
        send: (upload, sending) => store.transport.uploadPart({ ...upload, ...sum }, data, sending),
        done: (sent) => held.release(sent),
      };
    },
    fail: (error) => void stream.destroy(error),
    async verify() {
      if (size !== undefined && reader.size !== size) throw sizeMismatch(reader.size, size);
      sums.verify();
    },
  };
  const nextPart = async (): Promise<FilledBuffer> => {
    const part = await readPart(store, reader, { size: partSize }, ctx);
    if (size === undefined || reader.size <= size) return part;
    part.held.release(false);
    throw sizeMismatch(reader.size, size);
  };
  return { ...(await writeByParts(store, at, { headers, parts }, ctx)), size: reader.size };
}

/**
 * Sends the stream as it arrives in a single PUT: on some servers the only kind of write whose condition is enforced. It has one attempt.
 */
async function putStreaming(store: Store, stream: Readable, size: number, { at, headers, options, ctx }: Write): Promise<Put> {
  const sums = new DeclaredSums(options);
  const giveUp = new AbortController();
  const signal = ctx.signal === undefined ? giveUp.signal : AbortSignal.any([ctx.signal, giveUp.signal]);
  const reader = new ChunkReader(stream);
  const checked = async function* (): AsyncGenerator<Buffer> {
    try {
      for (let left = size; left > 0;) {
        const [chunk] = await reader.chunks(1);
        if (chunk === undefined) throw sizeMismatch(reader.size, size);
        if ((left -= chunk.length) < 0) throw sizeMismatch(reader.size, size);
        sums.update(chunk);
        // The last chunk is sent only once everything is verified: until then the server has no complete object.
        if (left > 0) yield chunk;
        else {
          if (await reader.hasMore()) throw sizeMismatch(size + 1, size);
          sums.verify();
          yield chunk;
        }
      }
    } catch (error) {
      giveUp.abort(error);
      throw error;
    }
  };
  const body = Readable.from(checked(), { objectMode: false });
  body.on('error', () => {}); // `giveUp` reports it
  try {
    const payload = { kind: 'stream', stream: body, size, ...declaredIn(options) } as const;
    return { size, ...(await store.transport.put(at, payload, headers, { ...ctx, signal })) };
  } finally {
    body.destroy();
  }
}

function declaredIn({ sha256, md5 }: PutOptions): KnownSums {
  return { ...(sha256 !== undefined && { sha256 }), ...(md5 !== undefined && { md5 }) };
}
