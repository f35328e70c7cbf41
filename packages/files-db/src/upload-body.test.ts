import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { fileBody, isDirectSource, readAll } from '@coffer/storage-core';
import type { Body } from '@coffer/storage-core';

import { sampleBytes } from './sniff.ts';
import { openBody } from './upload-body.ts';

/** A body as a request's form makes one: pushed from outside, whatever its reader asks for. */
function pushed(...chunks: readonly (Buffer | null)[]): Readable {
  const stream = new Readable({ read: () => {} });
  for (const chunk of chunks) stream.push(chunk);
  return stream;
}

const bytes = Buffer.alloc(3 * sampleBytes, 'abc');
const opened = (stream: Readable, size?: number) => openBody({ kind: 'stream', stream, ...(size !== undefined && { size }) });
const contentOf = async (body: Body): Promise<Buffer> => (body.kind === 'buffer' ? Buffer.from(body.data) : readAll(body.stream));

describe('an opened body', () => {
  it('is a buffer when it has come whole, however long its sample is', async () => {
    for (const length of [1, sampleBytes - 1, sampleBytes, sampleBytes + 1, bytes.length]) {
      const data = bytes.subarray(0, length);
      for (const chunks of [
        [data, null],
        [data.subarray(0, 1), data.subarray(1), null],
      ]) {
        const { body, sample } = await opened(pushed(...chunks.filter((chunk) => chunk === null || chunk.length > 0)));
        expect(body.kind).toBe('buffer');
        expect(await contentOf(body)).toEqual(data);
        expect(sample).toEqual(data.subarray(0, sampleBytes));
      }
    }
  });

  it('has all bytes of a file, which backends may read past the stream', async () => {
    const data = randomBytes(1_000_000);
    const file = {
      read: async (target: Uint8Array, offset: number, length: number, position: number) => {
        const some = data.subarray(position, position + length);
        target.set(some, offset);
        return { bytesRead: some.length };
      },
    };
    for (const size of [undefined, data.length]) {
      const { body, sample } = await opened(fileBody(file), size);
      if (body.kind !== 'stream') throw new Error('That is no stream.');
      expect([isDirectSource(body.stream), body.size]).toEqual([false, size]);
      expect(sample).toEqual(data.subarray(0, sampleBytes));
      expect((await readAll(body.stream)).equals(data)).toBe(true);
    }
  });

  it('stays a stream with all of its bytes, in order, when more may come', async () => {
    const stream = pushed(bytes.subarray(0, 5000));
    const opening = opened(stream);
    stream.push(bytes.subarray(5000, 6000)); // while it is being opened
    const { body } = await opening;
    expect(body.kind).toBe('stream');
    stream.push(bytes.subarray(6000));
    stream.push(null);
    expect(await contentOf(body)).toEqual(bytes);
  });

  it('hands on the failure of its source', async () => {
    const stream = pushed(bytes.subarray(0, 5000));
    const opening = opened(stream);
    stream.on('error', () => {});
    stream.destroy(new Error('cut'));
    await expect(opening.then(({ body }) => contentOf(body))).rejects.toThrow('cut');
  });

  it('is refused when it has come whole with another length than announced', async () => {
    await expect(opened(pushed(bytes, null), bytes.length + 1)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});
