import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { closeInOrder } from './close-in-order.ts';

describe('closeInOrder', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const hangs = (): Promise<void> => new Promise(() => {});
  const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it('is done in time when every step hangs, and leaves a later one what it needs', async () => {
    const begun: number[] = [];
    const step = (): Promise<void> => {
      begun.push(performance.now() - start);
      return hangs();
    };
    const start = performance.now();
    const closing = closeInOrder([{ close: step }, { close: step, needsMs: 35_000 }], 60_000).catch(String);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await closing).toBe('Error: Not closed within 60 s.');
    expect(begun).toEqual([0, 25_000]);
  });

  it('gives a step the time that those before it did not take', async () => {
    const closing = closeInOrder([{ close: () => after(1000) }, { close: () => after(58_000), needsMs: 35_000 }], 60_000);
    await vi.advanceTimersByTimeAsync(59_000);
    expect(await closing).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0); // or the process would not end
  });

  it('takes every step, and rejects with the first failure', async () => {
    const last = vi.fn<() => Promise<void>>(async () => {});
    const failing = async (): Promise<void> => {
      throw new Error('first');
    };
    await expect(closeInOrder([{ close: failing }, { close: last }], 1000)).rejects.toThrow('first');
    expect(last).toHaveBeenCalledOnce();
  });
});
