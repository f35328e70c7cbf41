import { expect, it } from 'vitest';

import { lendOne } from './lenders.ts';
import type { Lender } from './lenders.ts';

function lender(stalledFor: number | undefined, tenant = ''): Lender & { readonly lent: () => number } {
  let lent = 0;
  return { tenant, stalledFor, lend: () => void lent++, lent: () => lent };
}

it('takes the place that has been of no use for the longest time, and of the tenant alone where it is one', () => {
  const all = [lender(undefined), lender(300), lender(900, 'acme'), lender(500), lender(700, 'acme')];
  expect(lendOne(all, undefined)).toBe(true);
  expect(all.map(({ lent }) => lent())).toEqual([0, 0, 1, 0, 0]);
  expect(lendOne(all, '')).toBe(true);
  expect(all.map(({ lent }) => lent())).toEqual([0, 0, 1, 1, 0]);
  expect(lendOne(all, 'globex')).toBe(false);
  expect(lendOne([lender(undefined)], undefined)).toBe(false);
});
