import type { Readable } from 'node:stream';

// From the global registry, so that streams of another copy of this package are known as well.
const owned: unique symbol = Symbol.for('@coffer/owned-chunks') as never;

interface Marked {
  [owned]?: true;
}

/**
 * Says of a stream that nobody but its reader has to do with its chunks, now or later: the reader may give back their memory.
 * @returns the stream
 */
export function withOwnedChunks<T extends Readable>(stream: T): T {
  (stream as Marked)[owned] = true;
  return stream;
}

/** Whether `withOwnedChunks` has marked the stream. */
export function hasOwnedChunks(stream: Readable): boolean {
  return (stream as Marked)[owned] === true;
}

/**
 * Gives back the memory of a chunk of which nobody needs a byte any more. Until the next garbage collection, which does not
 * see how large its garbage is, that memory would be as good as lost, and the next chunk would take some that is in no cache:
 * a server that reads large bodies takes twice the time and 100 MiB more. What is a part of something else stays as it is.
 * @param chunk of a stream with owned chunks; it is empty afterwards
 */
export function releaseChunk(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && chunk.byteLength > 0 && chunk.byteLength === buffer.byteLength) buffer.transferToFixedLength(0);
}
