import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Clock } from './clock.ts';

const minute = 60_000;
const start = Date.UTC(2026, 0, 2, 3, 4, 5);
const dateIn = (ahead: number): string => new Date(start + ahead).toUTCString();

describe("the server's clock", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: start }));
  afterEach(() => void vi.useRealTimers());

  it('is ours until it is known to be another', () => {
    const clock = new Clock();
    expect([clock.offset, clock.now()]).toEqual([0, start]);
    for (const date of [undefined, '', 'yesterday', dateIn(4 * minute - 1000), dateIn(1000 - 4 * minute)])
      expect(clock.learn(date, 0)).toBe(false);
    expect([clock.offset, clock.now()]).toEqual([0, start]);
  });

  it.each([4, -4, 60, -60])('is learnt from an answer that is %i minutes off', (minutes) => {
    const clock = new Clock();
    expect(clock.learn(dateIn(minutes * minute), 0)).toBe(true);
    expect([clock.offset, clock.now()]).toEqual([minutes * minute, start + minutes * minute]);
    expect(clock.learn(dateIn(minutes * minute), clock.offset)).toBe(false);
    expect(clock.learn(dateIn(0), clock.offset)).toBe(true);
    expect(clock.offset).toBe(0);
  });

  it('justifies another attempt of a request signed before it was learnt, and keeps the first correction', () => {
    const clock = new Clock();
    clock.learn(dateIn(60 * minute), 0);
    expect(clock.learn(dateIn(61 * minute), 0)).toBe(true);
    expect(clock.offset).toBe(60 * minute);
  });
});
