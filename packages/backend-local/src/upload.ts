import { Readable } from 'node:stream';

import { hasOwnedChunks, releaseChunk, sizeMismatch, storageError } from '@coffer/storage-core';
import type { Body, PutOptions } from '@coffer/storage-core';

import type { Digests } from './hash-thread.ts';
import { UploadFile } from './upload-file.ts';
import type { UploadTools } from './upload-file.ts';

/** A body that is whole, durable, and of the announced size and checksums, under a temporary name. */
export interface Received extends Digests {
  readonly path: string;
  readonly size: number;
}

type Declared = Pick<PutOptions, 'md5' | 'sha256'>;

/**
 * Takes a body in. Nothing is left behind unless it resolves. An error of the body's own stream, and the reason of an
 * aborted `signal`, come back as they are.
 * @param signal one that is not aborted yet
 * @throws invalid_argument (another size than announced), checksum_mismatch, storage_unavailable, access_denied
 */
export async function receive(body: Body, declared: Declared, tools: UploadTools, signal: AbortSignal | undefined): Promise<Received> {
  if (body.kind === 'buffer') {
    const file = new UploadFile(tools, body.data.byteLength, () => {});
    return store([body.data], body.data.byteLength, declared, file);
  }
  const { stream, size } = body;
  const onAbort = (): void => void stream.destroy(signal?.reason as Error);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    // A disk that fails while the sender pauses is not noticed by reading on.
    const file = new UploadFile(tools, size, (error) => stream.destroy(error));
    return await store(stream, size, declared, file);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

async function store(
  chunks: AsyncIterable<unknown> | Iterable<unknown>,
  announced: number | undefined,
  declared: Declared,
  file: UploadFile,
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
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === 'string') return Buffer.from(chunk);
  throw storageError('invalid_argument', 'A body must be a stream of bytes.');
}

function assertDeclared(actual: Digests, declared: Declared): void {
  for (const name of ['md5', 'sha256'] as const) {
    if (declared[name] !== undefined && declared[name].toLowerCase() !== actual[name]) {
      throw storageError('checksum_mismatch', `The ${name} of the body does not match the declared one.`);
    }
  }
}
