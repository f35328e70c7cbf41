import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, SpoolFile } from '@coffer/storage-core';
import { afterEach, expect, it, vi } from 'vitest';

import { ChunkReader } from './chunk-reader.ts';
import { gathered } from './gather.ts';
import { openStore } from './open-store.ts';
import type { Store } from './store.ts';
import { UploadMemory } from './upload-memory.ts';

const mib = 2 ** 20;
const partSize = 5 * mib;
const data = Buffer.from(Array.from({ length: 3 * mib }, (_, index) => (index * 7919) % 251));

afterEach(() => vi.restoreAllMocks());

/** Whose memory a slow client holds. */
async function storeOfSlow(): Promise<{ readonly store: Store; leave(): Promise<void> }> {
  const store = {
    ...openStore({ accessKey: 'a', secretKey: 'b' }),
    memory: new UploadMemory({ capacity: partSize, partSize, patience: 20 }),
  };
  let fill = (_end: number): void => {};
  const slow = await store.memory.take(partSize, {});
  const filling = store.memory.whileFilling(partSize, new Promise<number>((resolve) => (fill = resolve)));
  await expect.poll(() => store.memory.takeSoon(mib, {})).toBeUndefined();
  const leave = async (): Promise<void> => {
    fill(0);
    await filling;
    slow.release(true);
  };
  return { store, leave };
}

it('goes on in memory with what a full disk did not take', async () => {
  const { store, leave } = await storeOfSlow();
  const close = vi.spyOn(SpoolFile.prototype, 'close');
  const append = SpoolFile.prototype.append;
  let appended = 0;
  vi.spyOn(SpoolFile.prototype, 'append').mockImplementation(async function (this: SpoolFile, bytes) {
    if (appended + bytes.length > mib) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    await append.call(this, bytes);
    appended += bytes.length;
  });
  const pieces = Array.from({ length: 31 }, (_, index) => data.subarray(index * 100_000, (index + 1) * 100_000));
  const reader = new ChunkReader(Readable.from([...pieces, data.subarray(3_100_000)], { objectMode: false }));
  const gathering = gathered(store, reader, { size: 2 * mib + 3 }, noContext);
  await expect.poll(() => appended).toBeGreaterThan(900_000);
  await leave();
  const { held, end } = await gathering;
  expect(end).toBe(2 * mib + 3);
  expect(held.buffer.equals(data.subarray(0, end))).toBe(true);
  expect(close).toHaveBeenCalledTimes(1);
  const rest = Buffer.concat(await reader.chunks(Infinity));
  expect(rest.equals(data.subarray(end))).toBe(true);
  held.release(true);
  store.connection.close();
});

it('needs nothing more of a file that has been read: one that fails to close takes no memory along', async () => {
  const { store, leave } = await storeOfSlow();
  const close = SpoolFile.prototype.close;
  vi.spyOn(SpoolFile.prototype, 'close').mockImplementation(async function (this: SpoolFile) {
    await close.call(this);
    throw Object.assign(new Error('full'), { code: 'EDQUOT' }); // as network file systems do, which write late
  });
  const reader = new ChunkReader(Readable.from([data], { objectMode: false }));
  const { held, end } = await gathered(store, reader, { size: 2 * mib }, noContext);
  expect(held.buffer.equals(data.subarray(0, end))).toBe(true);
  held.release(true);
  (await store.memory.takeForSpooled(partSize, { signal: AbortSignal.timeout(1000) })).release(true);
  await leave();
  store.connection.close();
});

it('keeps no file of an upload that fails', async () => {
  const { store, leave } = await storeOfSlow();
  const close = vi.spyOn(SpoolFile.prototype, 'close');
  const stream = new Readable({ read() {} });
  stream.push(data);
  const gathering = gathered(store, new ChunkReader(stream), { size: 4 * mib }, noContext);
  stream.destroy(new Error('gone'));
  await expect(gathering).rejects.toThrow('gone');
  expect(close).toHaveBeenCalledTimes(1);
  await leave();
  store.connection.close();
});

it('waits for a client that does not tell that this was all, and counts it as slow', async () => {
  const memory = new UploadMemory({ capacity: partSize, partSize, patience: 20 });
  const store = { ...openStore({ accessKey: 'a', secretKey: 'b' }), memory };
  const stream = new Readable({ read() {} });
  stream.push(data.subarray(0, 2 * mib));
  const gathering = gathered(store, new ChunkReader(stream), { size: 2 * mib, isMaybeAll: true }, noContext);
  expect(await memory.takeSoon(partSize, {})).toBeUndefined();
  stream.push(null);
  const { held, end } = await gathering;
  expect(end).toBe(2 * mib);
  held.release(true);
  (await memory.takeSoon(partSize, {}))?.release(true);
  store.connection.close();
});

it('holds no memory while a client whose bytes were spooled does not tell that this was all', async () => {
  const { store, leave } = await storeOfSlow();
  const stream = new Readable({ read() {} });
  stream.push(data.subarray(0, 2 * mib));
  const takeForSpooled = vi.spyOn(store.memory, 'takeForSpooled');
  const append = vi.spyOn(SpoolFile.prototype, 'append');
  const gathering = gathered(store, new ChunkReader(stream), { size: 2 * mib, isMaybeAll: true }, noContext);
  await expect.poll(() => append.mock.calls.length).toBeGreaterThan(0);
  await delay(100);
  expect(takeForSpooled).not.toHaveBeenCalled();
  stream.push(null);
  const { held, end } = await gathering;
  expect(held.buffer.equals(data.subarray(0, end))).toBe(true);
  held.release(true);
  await leave();
  store.connection.close();
});
