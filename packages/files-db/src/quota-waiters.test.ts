import { getEventListeners } from 'node:events';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { QuotaWaiters } from './quota-waiters.ts';

const [tenant, other] = ['0190abcd-0000-7000-8000-00000000000a', '0190abcd-0000-7000-8000-00000000000b'];

describe('an upload that waits for space', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('does so for three seconds, in pauses that grow', async () => {
    const budget = new QuotaWaiters().budgetFor(tenant);
    const pauses: number[] = [];
    for (;;) {
      const begun = performance.now();
      const waiting = budget.wait(undefined);
      await vi.advanceTimersToNextTimerAsync();
      if (!(await waiting)) break;
      pauses.push(performance.now() - begun);
    }
    expect(pauses).toEqual([25, 50, 100, 200, 400, 400, 400, 400, 400, 400, 225]);
  });

  it('is woken at once, and every time, when its tenant gets space back', async () => {
    const waiters = new QuotaWaiters();
    const [budget, others] = [waiters.budgetFor(tenant), waiters.budgetFor(other)];
    for (let round = 0; round < 10; round++) {
      const waiting = budget.wait(undefined);
      waiters.wake(tenant.toUpperCase());
      expect(await waiting).toBe(true);
    }
    const woken = vi.fn<() => void>();
    const [left, waiting] = [budget.wait(undefined).then(woken), others.wait(undefined)];
    for (const nobodys of [other, null, undefined]) waiters.wake(nobodys);
    expect(await waiting).toBe(true);
    expect(woken).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(25); // as short as the first pause
    await left;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('stops waiting when its caller goes, leaves no listener behind, and delays no other upload', async () => {
    const waiters = new QuotaWaiters();
    const [mine, theirs] = [waiters.budgetFor(tenant), waiters.budgetFor(tenant)];
    const caller = new AbortController();
    const [given, waiting] = [mine.wait(caller.signal), theirs.wait(undefined)];
    caller.abort(new Error('gone'));
    await expect(given).rejects.toThrow('gone');
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    waiters.wake(tenant);
    expect(await waiting).toBe(true);
    await expect(mine.wait(caller.signal)).rejects.toThrow('gone');
    expect(vi.getTimerCount()).toBe(0);
  });
});
