import { releaseChunk } from '@coffer/storage-core';

/** Files up to this many bytes are read into reusable buffers. */
const pooledBytes = 64 * 1024;
const pool: ArrayBuffer[] = [];

/**
 * Memory for a whole file. Small files get memory that was used before: its pages are already mapped, while mapping new ones costs
 * more than the reading.
 */
export function takeBuffer(size: number): Buffer {
  if (size > pooledBytes) return Buffer.allocUnsafeSlow(size);
  return Buffer.from(pool.pop() ?? Buffer.allocUnsafeSlow(pooledBytes).buffer, 0, size);
}

/**
 * Call it once nothing needs the bytes. After a failure they may still be in use by a request: then leave the buffer to the garbage
 * collector.
 */
export function releaseBuffer(bytes: Buffer): void {
  if (bytes.length > pooledBytes) releaseChunk(bytes);
  else pool.push(bytes.buffer as ArrayBuffer);
}
