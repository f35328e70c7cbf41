import { Readable } from 'node:stream';
import { isUint8Array } from 'node:util/types';

import { hasOwnedChunks, releaseChunk, sizeMismatch, storageError } from '@coffer/storage-core';
import type { Body, PutOptions } from '@coffer/storage-core';

import type { Digests } from './hash-thread.ts';
import { UploadFile } from './upload-file.ts';
import type { UploadTools } from './upload-file.ts';

/** A complete, durable body of the announced size and checksums, under a temporary name. */
export interface Received extends Digests {
  readonly path: string;
  readonly size: number;
}

/** A body, and the bytes that it had or announced when it was given. */
export interface Announced {
  readonly body: Body;
  readonly size: number | undefined;
}

type Declared = Pick<PutOptions, 'md5' | 'sha256'>;

/**
 * Receives a body. Leaves nothing behind unless it resolves. Errors of the body's own stream, and the reason of an aborted `signal`,
 * are passed on unchanged.
 * @param signal must not be aborted yet
 * @throws invalid_argument (size differs from the announced one), checksum_mismatch, storage_unavailable, access_denied
 */
export async function receive(
  { body, size }: Announced,
  declared: Declared,
  tools: UploadTools,
  signal: AbortSignal | undefined,
): Promise<Received> {
  if (body.kind === 'buffer') return receiveInto(new UploadFile(tools, size, () => {}), [body.data], size, declared);
  const { stream } = body;
  const onAbort = (): void => void stream.destroy(signal?.reason as Error);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    // Without this callback, a disk failure would go unnoticed while the sender pauses.
    const file = new UploadFile(tools, size, (error) => stream.destroy(error));
    return await receiveInto(file, stream, size, declared);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

async function receiveInto(
  file: UploadFile,
  chunks: AsyncIterable<unknown> | Iterable<unknown>,
  announced: number | undefined,
  declared: Declared,
): Promise<Received> {
  try {
    const isOwned = chunks instanceof Readable && hasOwnedChunks(chunks);
    let size = 0;
    for await (const chunk of chunks) {
      const bytes = bytesOf(chunk);
      size += bytes.byteLength;
      if (announced !== undefined && size > announced) throw sizeMismatch(size, announced);
      const isCopied = await file.write(bytes);
      if (isCopied && isOwned) releaseChunk(bytes);
    }
    if (announced !== undefined && size < announced) throw sizeMismatch(size, announced);
    const digests = await file.finish();
    assertDeclared(digests, declared);
    return { ...digests, path: await file.close(), size };
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

function bytesOf(chunk: unknown): Uint8Array {
  if (isUint8Array(chunk)) return chunk;
  if (typeof chunk === 'string') return Buffer.from(chunk);
  throw storageError('invalid_argument', 'A body must be a stream of bytes.');
}

function assertDeclared(actual: Digests, declared: Declared): void {
  for (const name of ['md5', 'sha256'] as const) {
    if (declared[name] !== undefined && declared[name] !== actual[name]) {
      throw storageError('checksum_mismatch', `The ${name} of the body does not match the declared one.`);
    }
  }
}
