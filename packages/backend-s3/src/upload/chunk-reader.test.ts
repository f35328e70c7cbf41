import { Readable } from 'node:stream';

import { withOwnedChunks } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { bodyOf } from '../http/answer-body.ts';
import { guardBody } from '../open-body.ts';
import { ChunkReader } from './chunk-reader.ts';

/** Bytes in pieces, some of which arrive at once and some later. */
function pieces(sizes: readonly number[], failure?: Error): Readable {
  let byte = 0;
  return Readable.from(
    (async function* () {
      for (const [index, size] of sizes.entries()) {
        if (index % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        yield Buffer.from(Array.from({ length: size }, () => byte++ % 251));
      }
      if (failure !== undefined) throw failure;
    })(),
    { objectMode: false },
  );
}

const expected = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index % 251));

describe('a reader of chunks', () => {
  it('hands out the same bytes in whatever amounts they are asked for', async () => {
    for (const sizes of [[], [1], [10, 1, 300, 7], Array.from({ length: 40 }, (_, index) => (index * 37) % 91)]) {
      const total = sizes.reduce((sum, size) => sum + size, 0);
      for (const wanted of [1, 13, 64, 10_000]) {
        const reader = new ChunkReader(pieces(sizes));
        const got: Buffer[] = [];
        for (let turn = 0; ; turn++) {
          if (turn % 3 === 1) {
            const chunks = Buffer.concat(await reader.chunks(wanted));
            if (turn % 2 === 0) got.push(chunks);
            else {
              if (turn % 4 === 1) await reader.hasMore(); // what follows is then there already
              reader.unread(chunks);
            }
          } else if (turn % 3 === 2) {
            const target = Buffer.alloc(wanted + 2);
            const end = await reader.fill(target, 2);
            got.push(target.subarray(2, end));
            if (end < target.length) break;
          } else if (!(await reader.hasMore())) break;
        }
        expect(Buffer.concat(got).equals(expected(total))).toBe(true);
        expect([reader.size, await reader.hasMore(), await reader.fill(Buffer.alloc(1))]).toEqual([total, false, 0]);
      }
    }
  });

  it('fills one target after the other from a chunk that is larger than several of them', async () => {
    const reader = new ChunkReader(pieces([250, 20, 250]));
    const got: Buffer[] = [];
    for (let end = 100; end === 100;) {
      const target = Buffer.alloc(100);
      end = await reader.fill(target);
      got.push(target.subarray(0, end));
    }
    expect(Buffer.concat(got).equals(expected(520))).toBe(true);
  });

  it('takes no empty chunk for another byte, such as the last one of a cipher', async () => {
    const chunks = ['', 'a', '', '', 'b', ''].map((text) => Buffer.from(text));
    const reader = new ChunkReader(Readable.from(chunks));
    const target = Buffer.alloc(2);
    expect([await reader.hasMore(), await reader.fill(target), target.toString()]).toEqual([true, 2, 'ab']);
    expect([await reader.hasMore(), reader.size]).toEqual([false, 2]);
  });

  it('reads a stream from which somebody has read before and put the bytes back', async () => {
    const stream = pieces([100, 100]);
    await new Promise((resolve) => stream.once('readable', resolve));
    stream.unshift(stream.read() as Buffer);
    const reader = new ChunkReader(stream);
    const target = Buffer.alloc(300);
    expect(await reader.fill(target)).toBe(200);
    expect(target.subarray(0, 200).equals(expected(200))).toBe(true);
  });

  it('has nothing more of a stream that has ended', async () => {
    const stream = pieces([100]);
    await stream.toArray();
    expect(await new ChunkReader(stream).hasMore()).toBe(false);
  });

  it('releases the memory of chunks that it owns, and of no others', async () => {
    for (const isOwner of [true, false]) {
      const chunks = [100, 50, 100].map((size, index) => Buffer.from(new ArrayBuffer(size)).fill(index + 1));
      const stream = Readable.from(chunks, { objectMode: false });
      const reader = new ChunkReader(isOwner ? withOwnedChunks(stream) : stream);
      const [first, second] = [Buffer.alloc(120), Buffer.alloc(130)];
      expect([await reader.fill(first), await reader.fill(second), await reader.hasMore()]).toEqual([120, 130, false]);
      expect(Buffer.concat([first, second])).toEqual(Buffer.concat([Buffer.alloc(100, 1), Buffer.alloc(50, 2), Buffer.alloc(100, 3)]));
      // The second chunk is split between both targets, so its memory is not released.
      expect(chunks.map(({ length }) => length)).toEqual(isOwner ? [0, 50, 0] : [100, 50, 100]);
    }
  });

  it('takes no more than it is asked for', async () => {
    let made = 0;
    const stream = new Readable({
      highWaterMark: 1000,
      read() {
        made += 100;
        this.push(Buffer.alloc(100));
      },
    });
    const reader = new ChunkReader(stream);
    await reader.fill(Buffer.alloc(250));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(made).toBeLessThanOrEqual(2500);
    stream.destroy();
  });

  describe.each([
    ['to fill memory', (reader: ChunkReader) => reader.fill(Buffer.alloc(1000))],
    ['for chunks', (reader: ChunkReader) => reader.chunks(1000)],
    ['to the end', async (reader: ChunkReader) => ((await reader.chunks(100)).length > 0 ? reader.hasMore() : undefined)],
  ])('while it reads %s', (_how, read: (reader: ChunkReader) => Promise<unknown>) => {
    it.each([
      ['fails', (stream: Readable) => stream.destroy(new Error('failed')), 'failed'],
      ['is closed', (stream: Readable) => stream.destroy(), 'closed before its end'],
    ])('rejects when the stream %s, before, during and after a read', async (_what, end, message) => {
      const stream = new Readable({ read() {} });
      stream.push(Buffer.alloc(100));
      const reader = new ChunkReader(stream);
      const reading = read(reader);
      await new Promise((resolve) => setImmediate(resolve)); // until then, it has not had all there is
      end(stream);
      await expect(reading).rejects.toThrow(message);
      await expect(reader.hasMore()).rejects.toThrow(message);
      await new Promise((resolve) => setImmediate(resolve));
      await expect(new ChunkReader(stream).chunks(1)).rejects.toThrow(message);
    });
  });

  it('rejects at once, and ever after, when a stream fails whose generator does not end', async () => {
    const generator = (async function* (): AsyncGenerator<Buffer> {
      yield await new Promise<never>(() => {});
    })();
    const stream = Readable.from(generator, { objectMode: false });
    const reader = new ChunkReader(stream);
    const reading = reader.hasMore();
    await new Promise((resolve) => setImmediate(resolve)); // until then, the generator has not begun
    stream.destroy(new Error('failed'));
    await expect(reading).rejects.toThrow('failed');
    await expect(reader.hasMore()).rejects.toThrow('failed');
  });

  it('rejects with the StorageError that an open body makes of the failure of its socket', async () => {
    for (const read of [(reader: ChunkReader) => reader.hasMore(), (reader: ChunkReader) => reader.fill(Buffer.alloc(10))]) {
      const body = bodyOf(new Readable({ read() {} }));
      guardBody(body, { signal: undefined, idleSeconds: 60, onClose: () => {} });
      const reading = read(new ChunkReader(body));
      body.fail(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
      await expect(reading).rejects.toMatchObject({ code: 'storage_unavailable', cause: { code: 'ECONNRESET' } });
    }
  });

  it('rejects with the error that follows the bytes of a stream', async () => {
    const reader = new ChunkReader(pieces([100], new Error('failed')));
    await expect(reader.fill(Buffer.alloc(1000))).rejects.toThrow('failed');
  });
});
