import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { onAbort, untilAborted } from './abort-listeners.ts';

it('calls every listener once, in order, through one event listener on the signal', () => {
  const cancel = new AbortController();
  const told: number[] = [];
  const late = (): void => void told.push(100);
  for (let index = 0; index < 100; index++)
    onAbort(cancel.signal, () => {
      told.push(index);
      onAbort(cancel.signal, late);
    });
  expect(getEventListeners(cancel.signal, 'abort')).toHaveLength(1);
  cancel.abort();
  cancel.abort();
  expect(told).toEqual(Array.from({ length: 100 }, (_, index) => index));
});

it('keeps no event listener on a signal that nobody waits for', async () => {
  const cancel = new AbortController();
  const told: string[] = [];
  const [first, second] = ['first', 'second'].map((name) => () => void told.push(name)) as [() => void, () => void];
  const ends = [first, second].map((listener) => onAbort(cancel.signal, listener));
  for (const end of [...ends, ...ends, onAbort(undefined, second)]) end();
  await untilAborted(Promise.resolve(), cancel.signal);
  expect(getEventListeners(cancel.signal, 'abort')).toHaveLength(0);
  onAbort(cancel.signal, second);
  cancel.abort();
  expect(told).toEqual(['second']);
});

it('does not call a listener that an earlier one removed', () => {
  const cancel = new AbortController();
  const told: string[] = [];
  let endSecond = (): void => {};
  onAbort(cancel.signal, () => {
    told.push('first');
    endSecond();
  });
  endSecond = onAbort(cancel.signal, () => told.push('second'));
  cancel.abort();
  expect(told).toEqual(['first']);
});

it('calls the remaining listeners when one in the middle has left', () => {
  const cancel = new AbortController();
  const told: string[] = [];
  const [first, , third] = ['first', 'second', 'third'].map((name) => onAbort(cancel.signal, () => told.push(name)));
  first?.();
  onAbort(cancel.signal, () => {
    told.push('fourth');
    third?.(); // was already called
  });
  onAbort(cancel.signal, () => told.push('fifth'));
  cancel.abort();
  third?.();
  expect(told).toEqual(['second', 'third', 'fourth', 'fifth']);
});

it('rejects with the abort alone if that came first, and leaves no failure of the work unhandled', async () => {
  const unheard: unknown[] = [];
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', (error) => unheard.push(error));
  try {
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(untilAborted(Promise.reject(new Error('work')), gone)).rejects.toThrow('gone');
    await expect(untilAborted(Promise.resolve(), gone)).rejects.toThrow('gone');
    await delay(10);
    expect(unheard).toEqual([]);
  } finally {
    process.removeAllListeners('unhandledRejection');
    for (const listener of others) process.on('unhandledRejection', listener);
  }
});
