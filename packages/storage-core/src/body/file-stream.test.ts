import { createHash, randomBytes } from 'node:crypto';
import fs, { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readAll } from './body.ts';
import { isDirectSource, readInto } from './file-body.ts';
import type { DirectSource } from './file-body.ts';
import { withDirectReads } from './file-stream.ts';

const data = randomBytes(700_001);
let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-file-stream-'));
  path = join(folder, 'file');
  await writeFile(path, data);
});
afterAll(() => rm(folder, { recursive: true }));

function direct(input: Readable): Readable & DirectSource {
  const stream = withDirectReads(input);
  if (!isDirectSource(stream)) throw new Error('It is no direct source.');
  return stream;
}

async function readDirectly(source: DirectSource, size: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(size);
    const bytes = await source[readInto](buffer);
    if (bytes === 0) return Buffer.concat(chunks);
    chunks.push(buffer.subarray(0, bytes));
  }
}

const parts: readonly [string, { readonly start?: number; readonly end?: number }, number, number][] = [
  ['all', {}, 0, data.length],
  ['from a place on', { start: 600_000 }, 600_000, data.length],
  ['a part', { start: 1, end: 300_000 }, 1, 300_001],
  ['the beginning', { end: 99 }, 0, 100],
  ['more than there is', { start: 10, end: 1_000_000 }, 10, data.length],
  ['what is behind the end', { start: 800_000 }, 0, 0],
];

describe('a stream of a file', () => {
  it.each(parts)('gives %s straight into memory, ends and closes', async (_name, options, start, end) => {
    const file = createReadStream(path, options);
    const stream = direct(file);
    const over = finished(stream);
    expect((await readDirectly(stream, 100_000)).equals(data.subarray(start, end))).toBe(true);
    await over;
    expect(file).toMatchObject({ bytesRead: end - start, closed: true, fd: null });
  });

  it.each(parts)('is still a stream of %s', async (_name, options, start, end) => {
    expect((await readAll(withDirectReads(createReadStream(path, options)))).equals(data.subarray(start, end))).toBe(true);
  });

  it('is read by what it was opened with: a handle, or a file system of the caller', async () => {
    const handle = await open(path);
    expect((await readDirectly(direct(handle.createReadStream()), 300_000)).equals(data)).toBe(true);
    let reads = 0;
    const own = {
      open: fs.open,
      close: fs.close,
      read: (...args: Parameters<typeof fs.read>) => {
        reads++;
        fs.read(...args);
      },
    };
    expect((await readDirectly(direct(createReadStream(path, { fs: own as never })), 300_000)).equals(data)).toBe(true);
    expect(reads).toBe(4);
  });

  it('is no direct source once somebody reads it, sets an encoding, or overrides how it reads', async () => {
    const begun = createReadStream(path);
    begun.on('data', () => {});
    const peeked = createReadStream(path);
    await new Promise((resolve) => peeked.once('readable', resolve));
    peeked.unshift(peeked.read() as Buffer);
    const asked = createReadStream(path);
    asked.read(0);
    await expect.poll(() => asked.readableLength).toBeGreaterThan(0);
    const text = createReadStream(path, 'latin1');
    const own = Object.assign(createReadStream(path), { _read: () => {} });
    const changing = Object.assign(createReadStream(path), { push: () => true });
    for (const stream of [begun, peeked, asked, text, own, changing]) {
      expect(isDirectSource(withDirectReads(stream))).toBe(false);
      stream.destroy();
    }
    const later = direct(createReadStream(path));
    later.resume();
    expect(isDirectSource(later)).toBe(false);
  });

  it('is no direct source while another read is in progress, as in every graceful-fs stream', async () => {
    const own = { open: fs.open, close: fs.close, read: (...args: Parameters<typeof fs.read>) => setTimeout(() => fs.read(...args), 20) };
    const file = createReadStream(path, { fs: own as never });
    const before = withDirectReads(file);
    await new Promise((resolve) => file.once('open', resolve));
    expect(isDirectSource(before)).toBe(true);
    file.read(0);
    expect(isDirectSource(before)).toBe(false);
    expect((await readAll(before)).equals(data)).toBe(true);
    const after = createReadStream(path);
    await new Promise((resolve) => after.once('open', resolve));
    after.read(0);
    expect(isDirectSource(withDirectReads(after))).toBe(false);
    after.destroy();
  });

  it('stays at its end once it has reached it, even after its file was closed', async () => {
    const stream = direct(createReadStream(path));
    expect((await readDirectly(stream, 300_000)).equals(data)).toBe(true);
    await expect.poll(() => stream.closed).toBe(true);
    expect(await stream[readInto](Buffer.alloc(1))).toBe(0);
  });

  it('gives listeners the same bytes, at the pace of the slowest', async () => {
    const stream = direct(createReadStream(path));
    await stream[readInto](Buffer.alloc(0));
    const hash = createHash('sha256');
    stream.pipe(hash);
    const slow: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
        slow.push(chunk as Buffer);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    expect((await readDirectly(stream, 100_000)).equals(data)).toBe(true);
    await reading;
    expect(Buffer.concat(slow).equals(data)).toBe(true);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(data).digest('hex'));
  });

  it('does not wait for a pipe destination that is gone', async () => {
    const stream = direct(createReadStream(path));
    await stream[readInto](Buffer.alloc(0));
    const stuck = new Writable({ highWaterMark: 1, write: () => {} });
    stream.pipe(stuck);
    const reading = readDirectly(stream, 100_000);
    await expect.poll(() => stream.readableLength).toBeGreaterThan(0);
    stuck.destroy();
    expect((await reading).equals(data)).toBe(true);
  });

  it('gives what its file system has read into another buffer', async () => {
    type Done = (error: Error | undefined, bytes: number, filled: Uint8Array) => void;
    const read = (file: number, _target: Uint8Array, _offset: number, length: number, at: number | null, done: Done): void =>
      fs.read(file, Buffer.alloc(length), 0, length, at, (error, bytes, filled) => done(error ?? undefined, bytes, filled));
    const stream = direct(createReadStream(path, { fs: { open: fs.open, close: fs.close, read } as never }));
    expect((await readDirectly(stream, 300_000)).equals(data)).toBe(true);
  });

  it('fails with the error of opening or reading it, and with the reason that it was destroyed with', async () => {
    const absent = direct(createReadStream(join(folder, 'absent')));
    await expect(absent[readInto](Buffer.alloc(1))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(absent[readInto](Buffer.alloc(1))).rejects.toMatchObject({ code: 'ENOENT' });
    const directory = direct(createReadStream(folder));
    await expect(directory[readInto](Buffer.alloc(1))).rejects.toMatchObject({ code: 'EISDIR' });
    expect(directory.destroyed).toBe(true);
    const reason = new Error('ended by the test');
    const ended = direct(createReadStream(path));
    const reading = ended[readInto](Buffer.alloc(10));
    ended.destroy(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(ended[readInto](Buffer.alloc(10))).rejects.toBe(reason);
  });

  it('keeps its descriptor open during a read, even if it is destroyed meanwhile', async () => {
    const calls: string[] = [];
    const own = {
      open: fs.open,
      close: (...args: Parameters<typeof fs.close>) => {
        calls.push('close');
        fs.close(...args);
      },
      read: (...args: Parameters<typeof fs.read>) => {
        setTimeout(() => {
          calls.push('read');
          fs.read(...args);
        }, 50);
      },
    };
    const file = createReadStream(path, { fs: own as never });
    const stream = direct(file);
    await new Promise((resolve) => file.once('open', resolve));
    const reading = stream[readInto](Buffer.alloc(10));
    stream.on('data', () => {}); // would never take what is given to it after the end
    await new Promise((resolve) => setImmediate(resolve));
    const closed = new Promise((resolve) => file.once('close', resolve));
    stream.destroy();
    await expect(reading).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', message: 'The stream was closed before its end.' });
    await closed;
    expect(calls).toEqual(['read', 'close']);
  });
});
