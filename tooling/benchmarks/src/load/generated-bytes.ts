import { createCipheriv, createHash } from 'node:crypto';

// Length of the block that every generated body repeats.
const blockBytes = 2 ** 20;

// Incompressible bytes, the same every time.
const block: Buffer = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16)).update(Buffer.alloc(blockBytes));

/**
 * The body of `size` bytes as pieces of the block, none larger than `most`. With `offset`, starts at that position of the endless
 * sequence.
 */
export function* pieces(size: number, most: number, offset = 0): Generator<Buffer> {
  for (let sent = 0; sent < size;) {
    const from = (offset + sent) % blockBytes;
    const length = Math.min(most, size - sent, blockBytes - from);
    yield block.subarray(from, from + length);
    sent += length;
  }
}

/** Lower-case hex digest of the body of `size` bytes. */
export function digestOf(algorithm: 'md5' | 'sha256', size: number): string {
  const hash = createHash(algorithm);
  for (const piece of pieces(size, blockBytes)) hash.update(piece);
  return hash.digest('hex');
}

/** Whether `chunk` equals the bytes at `offset` of a generated body. */
export function matches(chunk: Buffer, offset: number): boolean {
  for (let done = 0; done < chunk.byteLength;) {
    const from = (offset + done) % blockBytes;
    const length = Math.min(chunk.byteLength - done, blockBytes - from);
    if (chunk.compare(block, from, from + length, done, done + length) !== 0) return false;
    done += length;
  }
  return true;
}
