import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { hasOwnedChunks, releaseChunk, withOwnedChunks } from './chunk-memory.ts';

describe('memory of chunks', () => {
  it('is given back at once', () => {
    const chunk = Buffer.from(new ArrayBuffer(65_536));
    releaseChunk(chunk);
    expect([chunk.byteLength, chunk.buffer.byteLength]).toEqual([0, 0]);
    releaseChunk(chunk);
    releaseChunk(Buffer.alloc(0));
  });

  it('is kept when it holds more than the chunk', () => {
    const whole = Buffer.from(new ArrayBuffer(100)).fill(1);
    for (const part of [whole.subarray(1), whole.subarray(0, 99), Buffer.from('from a pool')]) {
      const before = Buffer.from(part);
      releaseChunk(part);
      expect(part).toEqual(before);
    }
    const shared = Buffer.from(new SharedArrayBuffer(10));
    releaseChunk(shared);
    expect(shared).toHaveLength(10);
  });

  it('is the reader’s only where the stream says so', () => {
    const stream = new Readable();
    expect(hasOwnedChunks(stream)).toBe(false);
    expect(hasOwnedChunks(withOwnedChunks(stream))).toBe(true);
  });
});
