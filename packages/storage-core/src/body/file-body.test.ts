import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { memoryBackend } from '../memory-backend.ts';
import { StorageService } from '../storage-service.ts';
import { bodyOf, destroyOnAbort, readAll } from './body.ts';
import { fileBody, isDirectSource, readInto } from './file-body.ts';
import type { DirectSource } from './file-body.ts';

const data = randomBytes(700_001);
let folder: string;
let file: FileHandle;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-file-body-'));
  await writeFile(join(folder, 'file'), data);
  file = await open(join(folder, 'file'));
});
afterAll(async () => {
  await file.close();
  await rm(folder, { recursive: true });
});

async function readDirectly(source: DirectSource, size: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const buffer = Buffer.alloc(size);
  for (;;) {
    const bytes = await source[readInto](buffer);
    if (bytes === 0) return Buffer.concat(chunks);
    chunks.push(Buffer.from(buffer.subarray(0, bytes)));
  }
}

const parts: readonly [string, { readonly start?: number; readonly size?: number }, number, number][] = [
  ['all', {}, 0, data.length],
  ['from a place on', { start: 600_000 }, 600_000, data.length],
  ['a part', { start: 1, size: 300_000 }, 1, 300_001],
  ['more than there is', { start: 10, size: 1_000_000 }, 10, data.length],
  ['nothing', { size: 0 }, 0, 0],
  ['what is behind the end', { start: 800_000 }, 0, 0],
];

describe('a body of a file', () => {
  it.each(parts)('is a stream of %s', async (_name, options, start, end) => {
    expect((await readAll(fileBody(file, options))).equals(data.subarray(start, end))).toBe(true);
  });

  it('stays at its end once it has reached it, whatever happens to the file', async () => {
    const own = await open(join(folder, 'file'));
    const body = fileBody(own);
    expect((await readDirectly(body, 100_000)).equals(data)).toBe(true);
    await expect.poll(() => body.closed).toBe(true);
    await own.close();
    expect(await body[readInto](Buffer.alloc(1))).toBe(0);
  });

  it('gives listeners the same bytes', async () => {
    const body = fileBody(file);
    await body[readInto](Buffer.alloc(0));
    const heard: Buffer[] = [];
    body.on('data', (chunk: Buffer) => heard.push(chunk));
    const over = finished(body);
    expect((await readDirectly(body, 100_000)).equals(data)).toBe(true);
    await over;
    expect(Buffer.concat(heard).equals(data)).toBe(true);
  });

  it('does not wait for a pipe destination that was removed, and can be destroyed while one is stuck', async () => {
    const stuck = new Writable({ highWaterMark: 1, write: () => {} });
    for (const leave of [(body: Readable) => body.unpipe(stuck), (body: Readable) => body.destroy(new Error('ended by the test'))]) {
      const body = fileBody(file).on('error', () => {});
      await body[readInto](Buffer.alloc(0));
      body.pipe(stuck);
      const reading = readDirectly(body, 300_000);
      reading.catch(() => {});
      await expect.poll(() => body.readableLength).toBeGreaterThan(0);
      leave(body);
      if (body.destroyed) await expect(reading).rejects.toThrow('ended by the test');
      else expect((await reading).equals(data)).toBe(true);
      expect(body.listenerCount('removeListener')).toBe(0);
    }
  });

  it('is read as an ordinary stream once another read is in progress', async () => {
    const body = fileBody(file);
    body.read(0);
    expect(isDirectSource(body)).toBe(false);
    expect((await readAll(body)).equals(data)).toBe(true);
  });

  it.each(parts)('gives %s straight into memory, and ends', async (_name, options, start, end) => {
    const body = fileBody(file, options);
    const over = finished(body);
    expect((await readDirectly(body, 100_000)).equals(data.subarray(start, end))).toBe(true);
    await over;
    expect(body.destroyed).toBe(true);
  });

  it('is recognised as a direct source, also as the body of an upload', () => {
    const body = bodyOf(fileBody(file), data.length);
    expect(body.kind === 'stream' && isDirectSource(body.stream)).toBe(true);
  });

  it('fails with the reason that it was aborted with', async () => {
    const cancel = new AbortController();
    const body = fileBody(file);
    destroyOnAbort(body, cancel.signal);
    const reading = readDirectly(body, 10);
    body.on('data', () => {}); // would never take what is given to it now
    const reason = new Error('cancelled by the test');
    cancel.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(body[readInto](Buffer.alloc(1))).rejects.toBe(reason);
  });

  it('fails, either way, with what reading the file fails with', async () => {
    const gone = await open(join(folder, 'file'));
    await gone.close();
    await expect(readAll(fileBody(gone))).rejects.toMatchObject({ code: 'EBADF' });
    const body = fileBody(gone);
    body.on('error', () => {});
    await expect(body[readInto](Buffer.alloc(1))).rejects.toMatchObject({ code: 'EBADF' });
    expect(body.errored).toMatchObject({ code: 'EBADF' });
  });

  it('goes into any backend', async () => {
    const storage = new StorageService({ backend: memoryBackend({ buckets: ['files'] }), defaultBucket: 'files' });
    await storage.uploadFile({ key: 'file', body: fileBody(file, { start: 5 }), size: data.length - 5 });
    expect((await storage.downloadFile('file')).equals(data.subarray(5))).toBe(true);
  });
});
