import { expect, it } from 'vitest';

import { ReorderBuffer } from './reorder-buffer.ts';

function planned(count: number): { readonly order: ReorderBuffer<number>; readonly work: readonly object[] } {
  const order = new ReorderBuffer<number>();
  const work = Array.from({ length: count }, () => ({}));
  for (const each of work) order.planned(each);
  return { order, work };
}

it('returns results in the order in which their tasks were planned', () => {
  const { order, work } = planned(5);
  expect(order.ended(work[1]!, [1])).toEqual([]);
  expect(order.ended(work[2]!)).toEqual([]); // it failed
  expect(order.ended(work[4]!, [4])).toEqual([]);
  expect(order.ended(work[0]!, [0, 0])).toEqual([0, 0, 1]);
  expect(order.ended({}, [9])).toEqual([9]); // it was not planned
  expect(order.drain()).toEqual([4]);
  expect(order.drain()).toEqual([]);
  expect(order.ended(work[3]!, [3])).toEqual([3]);
});

it('holds back no more than a thousand results for a slow task, whose own follow when it ends', () => {
  const { order, work } = planned(2500);
  const shown = work.slice(1).map((each, index) => order.ended(each, [index + 1]));
  expect(shown.slice(0, 1001).map(({ length }) => length)).toEqual([...Array.from({ length: 1000 }, () => 0), 1001]);
  expect(shown.flat()).toEqual(Array.from({ length: 2499 }, (_, index) => index + 1));
  expect(order.ended(work[0]!, [0])).toEqual([0]);
});

it('counts failures among the waiting results, and restores the order after it has given up waiting', () => {
  const { order, work } = planned(2500);
  for (const each of work.slice(1, 1001)) expect(order.ended(each)).toEqual([]);
  expect(order.ended(work[1001]!, [1001])).toEqual([1001]);
  expect(order.ended(work[1003]!, [1003])).toEqual([]);
  expect(order.ended(work[0]!, [0])).toEqual([0]);
  expect(order.ended(work[1002]!, [1002])).toEqual([1002, 1003]);
});
