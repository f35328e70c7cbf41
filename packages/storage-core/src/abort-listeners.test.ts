import { getEventListeners } from 'node:events';

import { expect, it } from 'vitest';

import { offAbort, onAbort } from './abort-listeners.ts';

it('tells all that wait, once, in their order, by one listener of the signal', () => {
  const cancel = new AbortController();
  const told: number[] = [];
  for (let index = 0; index < 100; index++) onAbort(cancel.signal, () => told.push(index));
  expect(getEventListeners(cancel.signal, 'abort')).toHaveLength(1);
  cancel.abort();
  cancel.abort();
  expect(told).toEqual(Array.from({ length: 100 }, (_, index) => index));
});

it('leaves a signal alone that nobody waits for', () => {
  const cancel = new AbortController();
  const told: string[] = [];
  const [first, second] = ['first', 'second'].map((name) => () => void told.push(name)) as [() => void, () => void];
  onAbort(cancel.signal, first);
  onAbort(cancel.signal, second);
  offAbort(cancel.signal, first);
  offAbort(cancel.signal, second);
  offAbort(cancel.signal, second);
  offAbort(undefined, second);
  expect(getEventListeners(cancel.signal, 'abort')).toHaveLength(0);
  onAbort(cancel.signal, second);
  cancel.abort();
  expect(told).toEqual(['second']);
});

it('does not tell who was taken back by one that was told before', () => {
  const cancel = new AbortController();
  const told: string[] = [];
  const second = (): void => void told.push('second');
  onAbort(cancel.signal, () => {
    told.push('first');
    offAbort(cancel.signal, second);
  });
  onAbort(cancel.signal, second);
  cancel.abort();
  expect(told).toEqual(['first']);
});
