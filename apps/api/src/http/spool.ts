import { constants } from 'node:os';
import type { Readable } from 'node:stream';

import { SpoolFile, storageError } from '@coffer/storage-core';

export interface Spooled {
  readonly body: Buffer | Readable;
  readonly size: number;
  /** Frees the disk, whether or not the body was read. */
  release(): Promise<void>;
}

const maxInMemory = 1_048_576;

/**
 * Reads a stream to its end before its destination is known: a small one into memory, a larger one into an unnamed file.
 * @throws storage_unavailable when it cannot be written to disk, and any error of the stream
 */
export async function spool(stream: Readable, directory: string): Promise<Spooled> {
  const chunks: Buffer[] = [];
  let size = 0;
  let file: SpoolFile | undefined;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.byteLength;
      chunks.push(chunk);
      if (file === undefined && size <= maxInMemory) continue;
      file ??= await SpoolFile.open(directory).catch(throwUnwritable);
      for (const buffered of chunks.splice(0)) await file.append(buffered).catch(throwUnwritable);
    }
  } catch (error) {
    await file?.close().catch(() => {});
    throw error;
  }
  return file === undefined ? { body: Buffer.concat(chunks), size, release: async () => {} } : spooledFile(file, size);
}

function spooledFile(file: SpoolFile, size: number): Spooled {
  const body = file.stream();
  body.on('error', () => {}); // it may fail before anybody reads it
  return {
    body,
    size,
    release: async () => {
      body.destroy();
      await file.close().catch(() => {}); // network file systems may report a full disk as late as this
    },
  };
}

function throwUnwritable(cause: unknown): never {
  const { code, errno } = cause as NodeJS.ErrnoException;
  // Node has no name for EDQUOT, an exceeded quota.
  const isFull = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code ?? '') || errno === -constants.errno.EDQUOT;
  const message = isFull ? 'The disk of the server is full.' : 'The server cannot write to its data directory.';
  throw storageError('storage_unavailable', message, { cause, retryable: false });
}
