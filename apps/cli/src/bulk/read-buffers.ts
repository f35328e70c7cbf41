import { releaseChunk } from '@coffer/storage-core';

/** Files up to this many bytes are read into reusable buffers. */
const kept = 64 * 1024;
const spare: ArrayBuffer[] = [];

/**
 * Memory for a whole file. Small files get memory that was used before: its pages are already mapped, while mapping new ones costs
 * more than the reading.
 */
export function takeBuffer(size: number): Buffer {
  if (size > kept) return Buffer.allocUnsafeSlow(size);
  return Buffer.from(spare.pop() ?? Buffer.allocUnsafeSlow(kept).buffer, 0, size);
}

/**
 * Call it once nothing needs the bytes. After a failure they may still be in use by a request: then leave the buffer to the garbage
 * collector.
 */
export function giveBack(bytes: Buffer): void {
  if (bytes.length > kept) releaseChunk(bytes);
  else spare.push(bytes.buffer as ArrayBuffer);
}
