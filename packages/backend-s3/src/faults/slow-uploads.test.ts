import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectStream, StorageBackend } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { faultBench, transports } from '../testing/fault-bench.ts';

const options = { contentType: 'text/plain' };
const mib = 2 ** 20;
const large = randomBytes(12 * mib);
/** Two slow clients hold all of this memory. */
const narrow = { partSize: 5 * mib, uploadMemory: 10 * mib, timeout: 20 };

describe.each(transports)('clients whose bytes come slowly (%s)', (transport) => {
  const bench = faultBench(transport);
  let directory: string;
  beforeAll(async () => (directory = await mkdtemp(join(tmpdir(), 'coffer-spool-'))));
  afterAll(() => rm(directory, { recursive: true }));

  /** Sends some of the data at once, and the rest when `go` is called. */
  const slowly = (data: Buffer): { readonly stream: Readable; readonly go: () => void } => {
    const stream = new Readable({ read() {} });
    stream.push(data.subarray(0, mib));
    stream.push(data.subarray(mib, 2 * mib));
    return {
      stream,
      go: () => {
        stream.push(data.subarray(2 * mib));
        stream.push(null);
      },
    };
  };
  const put = (backend: StorageBackend, key: string, stream: Readable, size?: number): Promise<unknown> =>
    backend.put(bench.at(key), { kind: 'stream', stream, ...(size !== undefined && { size }) }, options, noContext);
  const stored = async (key: string): Promise<Buffer> =>
    readAll(((await bench.direct.get(bench.at(key), {}, noContext)) as ObjectStream).body);

  it('hold memory but block nobody: uploads that find none are written to unnamed files until they are complete', async () => {
    const backend = bench.through({ ...narrow, spoolDirectory: directory });
    const slow = Array.from({ length: 6 }, () => slowly(large));
    const uploads = slow.map(({ stream }, index) => put(backend, `slow ${index}`, stream, index % 2 === 0 ? large.length : undefined));
    await delay(1500);
    // Bodies of known and unknown length, smaller and larger than a part, and two that lie about their length.
    await Promise.all([
      put(backend, 'known', Readable.from([large.subarray(0, mib)], { objectMode: false }), mib),
      put(backend, 'unknown', Readable.from([large.subarray(0, 3 * mib)], { objectMode: false })),
      put(backend, 'parts', Readable.from([large.subarray(0, 11 * mib)], { objectMode: false })),
    ]);
    for (const size of [2 * mib - 1, 2 * mib + 1]) {
      const stream = Readable.from([large.subarray(0, 2 * mib)], { objectMode: false });
      await expect(put(backend, 'other', stream, size)).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    expect(await readdir(directory)).toEqual([]);
    slow[5]!.stream.destroy(new Error('gone'));
    await expect(uploads[5]).rejects.toThrow('gone');
    for (const { go } of slow.slice(0, 5)) go();
    await Promise.all(uploads.slice(0, 5));
    for (let index = 0; index < 5; index++) expect((await stored(`slow ${index}`)).equals(large)).toBe(true);
    expect((await stored('known')).equals(large.subarray(0, mib))).toBe(true);
    expect((await stored('unknown')).equals(large.subarray(0, 3 * mib))).toBe(true);
    expect((await stored('parts')).equals(large.subarray(0, 11 * mib))).toBe(true);
    expect(await bench.leftovers()).toEqual([]);
  });

  it('that send a part and then nothing count as slow, and hold none of the memory for spooled parts', async () => {
    const backend = bench.through({ ...narrow, timeout: 3, spoolDirectory: directory });
    const part = large.subarray(0, 5 * mib);
    // The first two hold the memory, the others are in files. None has said whether this is the whole object.
    const slow = Array.from({ length: 4 }, () => new Readable({ read() {} }));
    for (const stream of slow)
      for (let start = 0; start < part.length; start += 64 * 1024) stream.push(part.subarray(start, start + 64 * 1024));
    const hints = [undefined, 4 * mib, undefined, 4 * mib];
    const uploads = slow.map((stream, index) => {
      const sizeHint = hints[index];
      const body = { kind: 'stream', stream, ...(sizeHint !== undefined && { sizeHint }) } as const;
      return backend.put(bench.at(`ends ${index}`), body, options, noContext);
    });
    await delay(1500);
    await put(backend, 'known', Readable.from([large.subarray(0, mib)], { objectMode: false }), mib);
    await put(backend, 'parts', Readable.from([large], { objectMode: false }));
    for (const stream of slow) stream.push(null);
    await Promise.all(uploads);
    for (let index = 0; index < slow.length; index++) expect((await stored(`ends ${index}`)).equals(part)).toBe(true);
    expect((await stored('parts')).equals(large)).toBe(true);
  });

  it('are waited for where nothing can be written', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    const backend = bench.through({ ...narrow, spoolDirectory: join(file, 'below') });
    const slow = [slowly(large), slowly(large)];
    const uploads = slow.map(({ stream }, index) => put(backend, `slow ${index}`, stream));
    await delay(1500);
    const other = put(backend, 'known', Readable.from([large.subarray(0, mib)], { objectMode: false }), mib);
    expect(await Promise.race([other, delay(300, 'waits')])).toBe('waits');
    for (const { go } of slow) go();
    await Promise.all([...uploads, other]);
    expect((await stored('known')).equals(large.subarray(0, mib))).toBe(true);
  });

  it('that leave while they are spooled leave nothing behind', async () => {
    const backend = bench.through({ ...narrow, spoolDirectory: directory });
    const holding = [slowly(large), slowly(large)];
    const held = holding.map(({ stream }, index) => put(backend, `slow ${index}`, stream).catch((error: unknown) => error));
    await delay(1500);
    const cancel = new AbortController();
    const { stream } = slowly(large);
    const spooled = backend.put(bench.at('left'), { kind: 'stream', stream }, options, { signal: cancel.signal });
    await delay(200);
    cancel.abort(new Error('enough'));
    await expect(spooled).rejects.toThrow('enough');
    for (const each of holding) each.stream.destroy(new Error('gone'));
    await Promise.all(held);
    expect(await readdir(directory)).toEqual(['file']);
    await put(backend, 'after', Readable.from([large], { objectMode: false }));
    expect(await bench.leftovers()).toEqual([]);
  });
});
