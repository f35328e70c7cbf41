import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open as openFile, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { bodyOf, fileBody, isDirectSource, readAll, readInto } from '@coffer/storage-core';
import type { Body, DirectSource } from '@coffer/storage-core';

import { sampleBytes } from './sniff.ts';
import { meterBody, openBody } from './upload-body.ts';

/** A body like that of a form in a request: pushed from outside, whatever its reader asks for. */
function pushed(...chunks: readonly (Buffer | null)[]): Readable {
  const stream = new Readable({ read: () => {} });
  for (const chunk of chunks) stream.push(chunk);
  return stream;
}

const bytes = Buffer.alloc(3 * sampleBytes, 'abc');
const opened = (stream: Readable, size?: number) => openBody({ kind: 'stream', stream, ...(size !== undefined && { size }) });
const bodyStream = (stream: Readable): Readable => {
  const body = bodyOf(stream);
  if (body.kind !== 'stream') throw new Error('That is no stream.');
  return body.stream;
};
const contentOf = async (body: Body): Promise<Buffer> => (body.kind === 'buffer' ? Buffer.from(body.data) : readAll(body.stream));

describe('an opened body', () => {
  it('is a buffer when it has arrived whole, whatever its length', async () => {
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

  it('has all bytes when somebody listens to its source, who also gets each byte once', async () => {
    const data = randomBytes(300_001);
    const chunks = Array.from({ length: 31 }, (_, index) => data.subarray(index * 10_000, (index + 1) * 10_000));
    for (const isBefore of [true, false]) {
      const source = Readable.from(chunks, { objectMode: false });
      const heard: Buffer[] = [];
      const hear = (chunk: Buffer): void => void heard.push(chunk);
      if (isBefore) source.on('data', hear);
      const opening = opened(bodyStream(source));
      if (!isBefore) source.on('data', hear);
      const { body } = await opening;
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect((await contentOf(body)).equals(data)).toBe(true);
      if (isBefore) expect(Buffer.concat(heard).equals(data)).toBe(true);
    }
  });

  describe.each<[string, (path: string, file: FileHandle) => Readable]>([
    ['createReadStream', (path) => createReadStream(path)],
    ['fileBody', (_path, file) => fileBody(file)],
  ])('of a file, by %s,', (_name, open) => {
    let folder: string;
    const files: FileHandle[] = [];
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'coffer-upload-body-'));
    });
    afterEach(async () => {
      for (const file of files.splice(0)) await file.close();
    });
    afterAll(async () => rm(folder, { recursive: true }));
    const fileOf = async (data: Buffer): Promise<Readable> => {
      const name = path.join(folder, 'file');
      await writeFile(name, data);
      const file = await openFile(name);
      files.push(file);
      return open(name, file);
    };
    const streamed = async (stream: Readable, size?: number): Promise<Readable & DirectSource> => {
      const { body } = await opened(bodyStream(stream), size);
      if (body.kind !== 'stream' || !isDirectSource(body.stream)) throw new Error('It is not read into memory of its reader.');
      expect(body.size).toBe(size);
      return body.stream;
    };
    const readWhole = async (source: DirectSource, chunkBytes: number): Promise<Buffer> => {
      const chunks: Buffer[] = [];
      for (;;) {
        const target = Buffer.alloc(chunkBytes);
        const bytes = await source[readInto](target);
        if (bytes === 0) return Buffer.concat(chunks);
        chunks.push(target.subarray(0, bytes));
      }
    };
    const data = randomBytes(1_000_000);

    it('has all bytes, whichever way it is read', async () => {
      for (const size of [undefined, data.length]) {
        for (const length of [100, 65_536, 300_000]) {
          const stream = await fileOf(data);
          expect((await readWhole(await streamed(stream, size), length)).equals(data)).toBe(true);
          await expect.poll(() => stream.closed).toBe(true);
        }
        const stream = await fileOf(data);
        expect((await readAll(await streamed(stream, size))).equals(data)).toBe(true);
        await expect.poll(() => stream.closed).toBe(true);
      }
    });

    it('shows its first bytes, and is a buffer when it ends within them', async () => {
      for (const length of [0, 1, sampleBytes - 1, sampleBytes, sampleBytes + 1]) {
        const stream = await fileOf(data.subarray(0, length));
        const { body, sample } = await opened(bodyStream(stream));
        expect(sample).toEqual(data.subarray(0, Math.min(length, sampleBytes)));
        expect(body.kind).toBe(length < sampleBytes ? 'buffer' : 'stream');
        expect(await contentOf(body)).toEqual(data.subarray(0, length));
        await expect.poll(() => stream.closed).toBe(true);
      }
      await expect(opened(bodyStream(await fileOf(data.subarray(0, 10))), 11)).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    it('asks for more of the quota before it passes the bytes on', async () => {
      const totals: number[] = [];
      const more = async (passed: number): Promise<number> => {
        totals.push(passed);
        if (passed > 600_000) throw new Error('no more');
        return 100_000;
      };
      const metered = meterBody(await streamed(await fileOf(data)), 100_000, more);
      if (metered.kind !== 'stream' || !isDirectSource(metered.stream)) throw new Error('It is not read into memory of its reader.');
      const had: number[] = [];
      const reading = async (source: DirectSource): Promise<void> => {
        for (;;) had.push(await source[readInto](Buffer.alloc(50_000)));
      };
      await expect(reading(metered.stream)).rejects.toThrow('no more');
      const sum = had.reduce((total, bytes) => total + bytes, 0);
      expect(sum).toBeLessThanOrEqual(600_000);
      expect(sum).toBeGreaterThan(500_000);
      expect(totals).toEqual([...totals].toSorted((a, b) => a - b));
      await expect.poll(() => metered.stream.closed).toBe(true);
    });

    it('fails with the error of its source', async () => {
      const stream = await fileOf(data);
      const rest = await streamed(stream);
      stream.on('error', () => {});
      stream.destroy(new Error('cut'));
      await expect(readWhole(rest, 300_000)).rejects.toThrow('cut');
    });
  });

  it('does not wait for a file that says nothing once its caller has gone', async () => {
    const gone = new AbortController();
    const file = { read: () => new Promise<never>(() => {}) };
    const opening = openBody({ kind: 'stream', stream: fileBody(file) }, gone.signal);
    gone.abort(new Error('gone'));
    await expect(opening).rejects.toThrow('gone');
  });

  it('waits for no more of the quota once nobody reads it', async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    const more = (_passed: number, signal: AbortSignal): Promise<number> => (asked.resolve(signal), new Promise(() => {}));
    const metered = meterBody(pushed(bytes.subarray(0, 5000)), 0, more);
    if (metered.kind !== 'stream') throw new Error('It is no stream.');
    metered.stream.read();
    const waiting = await asked.promise;
    metered.stream.destroy();
    await expect.poll(() => waiting.aborted).toBe(true);
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
