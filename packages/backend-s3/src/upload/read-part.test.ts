import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, SpoolFile, storageError } from '@coffer/storage-core';
import { afterEach, expect, it, vi } from 'vitest';

import { openStore } from '../open-store.ts';
import type { Store } from '../store.ts';
import { ChunkReader } from './chunk-reader.ts';
import { UploadMemory } from './memory.ts';
import { readPart } from './read-part.ts';

const mib = 2 ** 20;
const partSize = 5 * mib;
const data = Buffer.from(Array.from({ length: 3 * mib }, (_, index) => (index * 7919) % 251));

afterEach(() => vi.restoreAllMocks());

/** A store whose memory is held by a slow client. */
async function storeOfSlow(): Promise<{ readonly store: Store; leave(): Promise<void> }> {
  const store = {
    ...openStore({ accessKey: 'a', secretKey: 'b' }),
    memory: new UploadMemory({ capacity: partSize, partSize, patience: 20 }),
  };
  let fill = (_end: number): void => {};
  const slow = await store.memory.take(partSize, {});
  const filling = store.memory.whileFilling(partSize, new Promise<number>((resolve) => (fill = resolve)));
  await expect.poll(() => store.memory.takeUnlessStuck(mib, {})).toBeUndefined();
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
  const gathering = readPart(store, reader, { size: 2 * mib + 3 }, noContext);
  await expect.poll(() => appended).toBeGreaterThan(900_000);
  (await store.memory.takeForSpooled(partSize, { signal: AbortSignal.timeout(1000) })).release(true);
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

it('writes no file for what may be held without asking', async () => {
  const { store, leave } = await storeOfSlow();
  const open = vi.spyOn(SpoolFile, 'open');
  const reader = new ChunkReader(Readable.from([data], { objectMode: false }));
  const { held, end } = await readPart(store, reader, { size: UploadMemory.unmeteredBytes, mayBeLast: true }, noContext);
  expect(held.buffer.subarray(0, end).equals(data.subarray(0, 256 * 1024))).toBe(true);
  expect(open).not.toHaveBeenCalled();
  held.release(true);
  await leave();
  store.connection.close();
});

it.each(['in memory', 'in a file'])(
  'does not wait for the end of a stream when reading a part that is known not to be all: %s',
  async (where) => {
    const { store, leave } = await storeOfSlow();
    if (where === 'in memory') await leave();
    const stream = new Readable({ read() {} });
    stream.push(data); // and nothing more for now
    const reader = new ChunkReader(stream);
    for (const size of [2 * mib, mib]) {
      const start = reader.size;
      const { held, end } = await readPart(store, reader, { size }, noContext);
      expect(held.buffer.subarray(0, end).equals(data.subarray(start, start + size))).toBe(true);
      held.release(true);
    }
    if (where === 'in a file') await leave();
    store.connection.close();
  },
);

it('waits for memory where no file can be written', async () => {
  const { store, leave } = await storeOfSlow();
  const nowhere = { ...store, settings: { ...store.settings, spoolDirectory: '/dev/null/spool' } };
  const reader = new ChunkReader(Readable.from([data], { objectMode: false }));
  const ended = vi.fn<() => void>();
  const gathering = readPart(nowhere, reader, { size: 2 * mib }, noContext).finally(ended);
  await delay(100);
  expect(ended).not.toHaveBeenCalled();
  await leave();
  const { held, end } = await gathering;
  expect(held.buffer.subarray(0, end).equals(data.subarray(0, 2 * mib))).toBe(true);
  held.release(true);
  store.connection.close();
});

it('releases its memory even if the file that was read fails to close', async () => {
  const { store, leave } = await storeOfSlow();
  const close = SpoolFile.prototype.close;
  vi.spyOn(SpoolFile.prototype, 'close').mockImplementation(async function (this: SpoolFile) {
    await close.call(this);
    throw Object.assign(new Error('full'), { code: 'EDQUOT' }); // network file systems do this, because they write late
  });
  const reader = new ChunkReader(Readable.from([data], { objectMode: false }));
  const { held, end } = await readPart(store, reader, { size: 4 * mib }, noContext);
  expect(end).toBe(data.length); // all there was
  expect(held.buffer.subarray(0, end).equals(data)).toBe(true);
  held.release(true);
  (await store.memory.takeForSpooled(partSize, { signal: AbortSignal.timeout(1000) })).release(true);
  await leave();
  store.connection.close();
});

it('keeps nothing of a file that cannot be read back', async () => {
  const { store, leave } = await storeOfSlow();
  const close = vi.spyOn(SpoolFile.prototype, 'close');
  vi.spyOn(SpoolFile.prototype, 'read').mockRejectedValue(storageError('storage_unavailable', 'EIO'));
  const reader = new ChunkReader(Readable.from([data], { objectMode: false }));
  await expect(readPart(store, reader, { size: 4 * mib }, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
  expect(close).toHaveBeenCalledTimes(1);
  (await store.memory.takeForSpooled(partSize, { signal: AbortSignal.timeout(1000) })).release(true);
  await leave();
  store.connection.close();
});

it('keeps no file of an upload that fails', async () => {
  const { store, leave } = await storeOfSlow();
  const close = vi.spyOn(SpoolFile.prototype, 'close');
  const stream = new Readable({ read() {} });
  stream.push(data);
  const gathering = readPart(store, new ChunkReader(stream), { size: 4 * mib }, noContext);
  stream.destroy(new Error('gone'));
  await expect(gathering).rejects.toThrow('gone');
  expect(close).toHaveBeenCalledTimes(1);
  await leave();
  store.connection.close();
});

it('counts a client as slow whom it waits for in memory because the disk is full', async () => {
  const { store, leave } = await storeOfSlow();
  vi.spyOn(SpoolFile.prototype, 'append').mockRejectedValue(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  const stream = new Readable({ read() {} });
  stream.push(data.subarray(0, mib));
  const take = vi.spyOn(store.memory, 'take');
  const gathering = readPart(store, new ChunkReader(stream), { size: 2 * mib }, noContext);
  await expect.poll(() => take.mock.calls.length).toBe(1);
  await leave();
  await expect.poll(() => store.memory.takeUnlessStuck(partSize, {})).toBeUndefined();
  stream.push(data.subarray(mib, 2 * mib));
  const { held, end } = await gathering;
  expect(held.buffer.subarray(0, end).equals(data.subarray(0, 2 * mib))).toBe(true);
  held.release(true);
  store.connection.close();
});

it('does not reuse memory that a failed source may still write to', async () => {
  const { store, leave } = await storeOfSlow();
  await leave();
  const takeUnlessStuck = vi.spyOn(store.memory, 'takeUnlessStuck');
  const stream = new Readable({ read() {} });
  const gathering = readPart(store, new ChunkReader(stream), { size: 2 * mib }, noContext);
  await expect.poll(() => takeUnlessStuck.mock.settledResults[0]?.type).toBe('fulfilled');
  stream.destroy(new Error('gone'));
  await expect(gathering).rejects.toThrow('gone');
  const next = await store.memory.take(2 * mib, {});
  const held = await takeUnlessStuck.mock.results[0]?.value;
  expect(next.buffer).not.toBe(held?.buffer);
  next.release(true);
  store.connection.close();
});

it('waits for a client that does not tell that this was all, and counts it as slow', async () => {
  const memory = new UploadMemory({ capacity: partSize, partSize, patience: 20 });
  const store = { ...openStore({ accessKey: 'a', secretKey: 'b' }), memory };
  const stream = new Readable({ read() {} });
  stream.push(data.subarray(0, 2 * mib));
  const gathering = readPart(store, new ChunkReader(stream), { size: 2 * mib, mayBeLast: true }, noContext);
  expect(await memory.takeUnlessStuck(partSize, {})).toBeUndefined();
  stream.push(null);
  const { held, end } = await gathering;
  expect(end).toBe(2 * mib);
  held.release(true);
  (await memory.takeUnlessStuck(partSize, {}))?.release(true);
  store.connection.close();
});

it('holds no memory while a spooled client does not say whether this was all', async () => {
  const { store, leave } = await storeOfSlow();
  const stream = new Readable({ read() {} });
  stream.push(data.subarray(0, 2 * mib));
  const takeForSpooled = vi.spyOn(store.memory, 'takeForSpooled');
  const append = vi.spyOn(SpoolFile.prototype, 'append');
  const gathering = readPart(store, new ChunkReader(stream), { size: 2 * mib, mayBeLast: true }, noContext);
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
