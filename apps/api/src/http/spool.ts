import { randomUUID } from 'node:crypto';
import { mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { storageError } from '@coffer/storage-core';

export interface Spooled {
  readonly body: Buffer | Readable;
  readonly size: number;
  /** Frees the disk where nobody read the body. */
  release(): Promise<void>;
}

const keptInMemory = 1_048_576;

/**
 * Reads a stream to its end before anybody knows where it goes: a small one into memory, a larger one into a file
 * that has no name any more, so that it is gone with its last reader, whatever ends this process.
 */
export async function spool(stream: Readable, directory: string): Promise<Spooled> {
  const chunks: Buffer[] = [];
  let size = 0;
  let file: Awaited<ReturnType<typeof open>> | undefined;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.byteLength;
      if (file === undefined && size > keptInMemory) {
        file = await nameless(directory);
        for (const kept of chunks.splice(0)) await file.writeFile(kept);
      }
      if (file === undefined) chunks.push(chunk);
      else await file.writeFile(chunk);
    }
  } catch (error) {
    await file?.close();
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      throw storageError('storage_unavailable', 'The disk of the server is full.', { cause: error, retryable: false });
    }
    throw error;
  }
  if (file === undefined) return { body: Buffer.concat(chunks), size, release: async () => {} };
  const spooled = file;
  const body = spooled.createReadStream({ start: 0, highWaterMark: 262_144 });
  return {
    body,
    size,
    release: async () => {
      if (!body.destroyed) body.destroy();
      await spooled.close().catch(() => {}); // closed by its stream already
    },
  };
}

async function nameless(directory: string): Promise<Awaited<ReturnType<typeof open>>> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, randomUUID());
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}
