import { getEventListeners } from 'node:events';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { UploadMemory } from './memory.ts';
import type { HeldBuffer } from './memory.ts';

const partSize = 1024 * 1024;
const small = partSize / 4;

describe('UploadMemory', () => {
  const memory = (): UploadMemory => new UploadMemory({ capacity: 16 * partSize, partSize, patience: 1000 });
  const take = (from: UploadMemory, count: number, size: number): Promise<readonly HeldBuffer[]> =>
    Promise.all(Array.from({ length: count }, () => from.take(size, {})));
  const give = (held: readonly HeldBuffer[]): void => held.forEach(({ release }) => release(true));
  /** Whether its memory has been returned to the system. */
  const isGone = ({ buffer }: HeldBuffer): boolean => (buffer.buffer as ArrayBuffer).detached;

  it('reuses what was released, but never what somebody may still read', async () => {
    const uploads = memory();
    const [first, second] = (await take(uploads, 2, partSize)) as [HeldBuffer, HeldBuffer];
    first.release(true);
    second.release(false);
    const [again, other] = (await take(uploads, 2, partSize)) as [HeldBuffer, HeldBuffer];
    expect(again.buffer.buffer).toBe(first.buffer.buffer);
    expect([first.buffer.buffer, second.buffer.buffer]).not.toContain(other.buffer.buffer);
    expect(isGone(second)).toBe(false);
  });

  it('uses the same again, however often', async () => {
    const uploads = memory();
    const [first] = (await take(uploads, 1, partSize)) as [HeldBuffer];
    for (let held = first, count = 0; count < 10; count++) {
      held.release(true);
      held = await uploads.take(partSize, {});
      expect(held.buffer.buffer).toBe(first.buffer.buffer);
    }
  });

  it('takes no more for a part than its size', async () => {
    const uploads = new UploadMemory({ capacity: 10 * partSize, partSize: 5 * partSize, patience: 1000 });
    const [whole, last] = [await uploads.take(5 * partSize, {}), await uploads.take(3 * partSize, {})];
    expect([whole, last].map(({ buffer }) => buffer.buffer.byteLength)).toEqual([5 * partSize, 4 * partSize]);
  });

  it('keeps four idle parts, and returns the rest to the system at once, oldest first', async () => {
    const uploads = memory();
    const held = await take(uploads, 6, partSize);
    give(held);
    expect(held.map(isGone)).toEqual([true, true, false, false, false, false]);
  });

  it('keeps fewer idle buffers of other sizes while more is in use', async () => {
    const uploads = memory();
    const idle = await take(uploads, 12, small);
    give(idle);
    expect(idle.filter(isGone)).toHaveLength(0);
    const held = await take(uploads, 2, partSize);
    expect(idle.filter(isGone)).toHaveLength(4);
    give(held);
    expect(await take(uploads, 2, partSize)).toHaveLength(2);
    expect(held.filter(isGone)).toHaveLength(0);
    expect(idle.filter(isGone)).toHaveLength(4);
  });

  it('frees idle buffers to make room, but no more than needed', async () => {
    const uploads = memory();
    await take(uploads, 4, partSize);
    const idle = await take(uploads, 12, small);
    give(idle);
    await take(uploads, 1, partSize);
    expect(idle.filter(isGone)).toHaveLength(4);
  });

  it('releases once, however often it is told', async () => {
    const uploads = memory();
    const [held] = (await take(uploads, 1, partSize)) as [HeldBuffer];
    held.release(true);
    held.release(true);
    const [first, second] = (await take(uploads, 2, partSize)) as [HeldBuffer, HeldBuffer];
    expect(first.buffer.buffer).not.toBe(second.buffer.buffer);
  });

  it('has a quarter of its capacity in addition for spooled parts', async () => {
    const uploads = memory();
    await take(uploads, 16, partSize);
    for (let count = 0; count < 4; count++) await uploads.takeForSpooled(partSize, {});
    const cancel = new AbortController();
    const more = uploads.takeForSpooled(partSize, { signal: cancel.signal });
    cancel.abort(new Error('no more'));
    await expect(more).rejects.toThrow('no more');
  });

  it('is not asked for by small uploads', async () => {
    const uploads = memory();
    await take(uploads, 16, partSize);
    const [held] = await take(uploads, 1, UploadMemory.unmeteredBytes);
    expect(held?.buffer).toHaveLength(UploadMemory.unmeteredBytes);
  });

  it('does not keep an aborted caller waiting', async () => {
    const uploads = memory();
    const held = await take(uploads, 16, partSize);
    const cancel = new AbortController();
    const soon = uploads.takeUnlessStuck(partSize, { signal: cancel.signal });
    cancel.abort(new Error('no more'));
    await expect(soon).rejects.toThrow('no more');
    give(held);
  });

  it('releases its slots if the system has no memory left', async () => {
    const uploads = memory();
    await expect(uploads.take(2 ** 53, {})).rejects.toThrow(RangeError);
    await expect(uploads.takeForSpooled(2 ** 53, {})).rejects.toThrow(RangeError);
    give([await uploads.take(partSize, { signal: AbortSignal.timeout(1000) })]);
    give([await uploads.takeForSpooled(partSize, { signal: AbortSignal.timeout(1000) })]);
  });

  it('makes parts larger than its capacity wait while nobody is slow', async () => {
    const uploads = new UploadMemory({ capacity: 2 * partSize, partSize, patience: 1000 });
    const first = await uploads.take(3 * partSize, {});
    const soon = uploads.takeUnlessStuck(3 * partSize, {});
    first.release(true);
    expect((await soon)?.buffer).toHaveLength(3 * partSize);
  });
});

describe('UploadMemory, over time', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }));
  afterEach(() => void vi.useRealTimers());

  /** The current outcome of `takeUnlessStuck`. */
  const soon = (memory: UploadMemory, signal?: AbortSignal): { readonly now: () => unknown } => {
    let told: unknown = 'waiting';
    void memory.takeUnlessStuck(partSize, { ...(signal !== undefined && { signal }) }).then((held) => (told = held));
    return { now: () => told };
  };

  it('is waited for until the clients that hold it become slow', async () => {
    const memory = new UploadMemory({ capacity: 2 * partSize, partSize, patience: 1000 });
    await memory.take(2 * partSize, {});
    void memory.whileFilling(2 * partSize, new Promise(() => {}));
    const waiting = soon(memory);
    await vi.advanceTimersByTimeAsync(900);
    expect(waiting.now()).toBe('waiting');
    await vi.advanceTimersByTimeAsync(200);
    expect(waiting.now()).toBeUndefined();
    expect(await memory.takeUnlessStuck(partSize, {})).toBeUndefined(); // at once from now on
  });

  it('is waited for up to a second while slow clients leave enough room', async () => {
    const memory = new UploadMemory({ capacity: 2 * partSize, partSize, patience: 1000 });
    await memory.take(2 * partSize, {});
    void memory.whileFilling(partSize, new Promise(() => {}));
    await vi.advanceTimersByTimeAsync(1000);
    const waiting = soon(memory);
    await vi.advanceTimersByTimeAsync(900);
    expect(waiting.now()).toBe('waiting');
    await vi.advanceTimersByTimeAsync(200);
    expect(waiting.now()).toBeUndefined();
  });

  it('is waited for while it is being sent, however slowly it was filled', async () => {
    const memory = new UploadMemory({ capacity: 2 * partSize, partSize, patience: 1000 });
    const held = await memory.take(2 * partSize, {});
    const filling = Promise.withResolvers<void>();
    const filled = memory.whileFilling(2 * partSize, filling.promise);
    await vi.advanceTimersByTimeAsync(1000);
    filling.resolve();
    await filled;
    const { signal } = new AbortController();
    const waiting = soon(memory, signal);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(waiting.now()).toBe('waiting');
    held.release(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(waiting.now()).toMatchObject({ buffer: expect.objectContaining({ length: partSize }) as unknown });
    expect([vi.getTimerCount(), getEventListeners(signal, 'abort').length]).toEqual([0, 0]);
  });
});
