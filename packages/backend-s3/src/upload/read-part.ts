import { SpoolFile } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import type { Store } from '../store.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { UploadMemory } from './memory.ts';
import type { HeldBuffer } from './memory.ts';

/** Memory, and where the bytes in it end: before its own end if the source ended earlier. */
export interface FilledBuffer {
  readonly held: HeldBuffer;
  readonly end: number;
}

/** What to read. */
interface PartRequest {
  readonly size: number;
  /** Whether these bytes may be all there is. If so, wait until that is known as well: that, too, means waiting for the client. */
  readonly mayBeLast?: boolean;
}

/**
 * Reads `size` bytes, or what there is, into memory. While slow clients hold the memory, the bytes are written to a file and take memory
 * only once all have arrived, so a slow client blocks nobody else.
 * @throws storage_unavailable when they cannot be read back, and any error of the source
 */
export async function readPart(store: Store, reader: ChunkReader, request: PartRequest, ctx: CallContext): Promise<FilledBuffer> {
  const { memory } = store;
  const { size, mayBeLast = false } = request;
  if (size <= UploadMemory.unmeteredBytes) return fillBuffer(await memory.take(size, ctx), (buffer) => reader.fill(buffer));
  const fromClient = async (buffer: Buffer, start: number): Promise<number> => {
    const end = await reader.fill(buffer, start);
    if (mayBeLast && end === size) await reader.hasMore();
    return end;
  };
  const inMemory = async (buffer: HeldBuffer): Promise<FilledBuffer> =>
    fillBuffer(buffer, (target) => memory.whileFilling(size, fromClient(target, 0)));
  const held = await memory.takeUnlessStuck(size, ctx);
  if (held !== undefined) return inMemory(held);
  const file = await spoolFile(store.settings.spoolDirectory);
  if (file === undefined) return inMemory(await memory.take(size, ctx));
  try {
    const isWhole = await spoolInto(reader, file, size);
    if (mayBeLast && isWhole) await reader.hasMore();
    // If the disk is full, the rest waits for memory as if there were no file.
    return await fillBuffer(await (isWhole ? memory.takeForSpooled(size, ctx) : memory.take(size, ctx)), async (buffer) => {
      await file.readInto(buffer);
      return isWhole ? file.size : memory.whileFilling(size, fromClient(buffer, file.size));
    });
  } finally {
    await file.close().catch(() => {}); // network file systems may report a full disk as late as this
  }
}

async function fillBuffer(held: HeldBuffer, fill: (buffer: Buffer) => Promise<number>): Promise<FilledBuffer> {
  try {
    return { held, end: await fill(held.buffer) };
  } catch (error) {
    held.release(false);
    throw error;
  }
}

/** Undefined if no file can be written, as in containers without a writable directory. */
function spoolFile(directory: string | undefined): Promise<SpoolFile | undefined> {
  return SpoolFile.open(directory).catch(() => undefined);
}

/** @returns whether all of it is in the file; what could not be written is put back to be read again */
async function spoolInto(reader: ChunkReader, file: SpoolFile, size: number): Promise<boolean> {
  while (file.size < size) {
    const [chunk] = await reader.chunks(1);
    if (chunk === undefined) return true;
    const wanted = chunk.subarray(0, size - file.size);
    if (wanted.length < chunk.length) reader.unread(chunk.subarray(wanted.length));
    try {
      await file.append(wanted);
    } catch {
      reader.unread(wanted);
      return false;
    }
  }
  return true;
}
