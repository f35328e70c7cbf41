import { releaseChunk } from '@coffer/storage-core';

/** Files up to this size are read into buffers that are used again. */
const kept = 64 * 1024;
const spare: ArrayBuffer[] = [];

/**
 * Memory for a whole file. That of small ones has been used before: the system has its pages at hand, where those of new memory
 * cost more than the reading.
 */
export function takeBuffer(size: number): Buffer {
  if (size > kept) return Buffer.allocUnsafeSlow(size);
  return Buffer.from(spare.pop() ?? Buffer.allocUnsafeSlow(kept).buffer, 0, size);
}

/** Once nobody needs its bytes any more. After a failure they may still be on their way: then leave it to the garbage collector. */
export function giveBack(bytes: Buffer): void {
  if (bytes.length > kept) releaseChunk(bytes);
  else spare.push(bytes.buffer as ArrayBuffer);
}
