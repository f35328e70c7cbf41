import { randomUUID } from 'node:crypto';
import { mkdir, open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { storageError } from '@coffer/storage-core';

export interface Spooled {
  readonly body: Buffer | Readable;
  readonly size: number;
  /** Frees the disk, whether the body was read or not. */
  release(): Promise<void>;
}

const keptInMemory = 1_048_576;
const readBytes = 262_144;

/**
 * Reads a stream to its end before anybody knows where it goes: a small one into memory, a larger one into a file
 * that has no name any more, so that it is gone with its last reader, whatever ends this process.
 * @throws storage_unavailable when it cannot be written down, and what the stream fails with
 */
export async function spool(stream: Readable, directory: string): Promise<Spooled> {
  const chunks: Buffer[] = [];
  let size = 0;
  let file: FileHandle | undefined;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.byteLength;
      chunks.push(chunk);
      if (file === undefined && size <= keptInMemory) continue;
      file ??= await nameless(directory);
      await write(file, chunks.splice(0));
    }
  } catch (error) {
    await file?.close();
    throw error;
  }
  return file === undefined ? { body: Buffer.concat(chunks), size, release: async () => {} } : readAgain(file, size);
}

function readAgain(file: FileHandle, size: number): Spooled {
  const body = file.createReadStream({ start: 0, highWaterMark: readBytes });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  body.once('close', resolve);
  body.on('error', () => {}); // also one that nobody reads yet
  return {
    body,
    size,
    release: async () => {
      body.destroy();
      await closed;
    },
  };
}

async function nameless(directory: string): Promise<FileHandle> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, randomUUID());
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  } catch (cause) {
    throw unwritable(cause);
  }
}

async function write(file: FileHandle, chunks: readonly Buffer[]): Promise<void> {
  try {
    for (const chunk of chunks) await file.writeFile(chunk);
  } catch (cause) {
    throw unwritable(cause);
  }
}

function unwritable(cause: unknown): Error {
  const isFull = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((cause as NodeJS.ErrnoException).code ?? '');
  const message = isFull ? 'The disk of the server is full.' : 'The server cannot write to its data directory.';
  return storageError('storage_unavailable', message, { cause, retryable: false });
}
