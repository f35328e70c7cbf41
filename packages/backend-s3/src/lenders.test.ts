import { expect, it } from 'vitest';

import { lendOne } from './lenders.ts';
import type { Lender } from './lenders.ts';

function lender(how: Partial<Pick<Lender, 'stalledFor' | 'servedFor' | 'tenant'>>): Lender & { readonly lent: () => number } {
  let lent = 0;
  return { tenant: '', stalledFor: undefined, servedFor: undefined, ...how, lend: () => void lent++, close: () => {}, lent: () => lent };
}

it('picks the place that was idle longest, or else used longest, and only places of the tenant if one is given', () => {
  const all = [
    lender({ servedFor: 5000 }),
    lender({ stalledFor: 300 }),
    lender({ stalledFor: 900, tenant: 'acme' }),
    lender({ stalledFor: 500 }),
    lender({ servedFor: 2000, tenant: 'initech' }),
    lender({ servedFor: 3000, tenant: 'initech' }),
    lender({ servedFor: 1000, tenant: 'initech' }),
    lender({ tenant: 'globex' }),
  ];
  expect(lendOne(all, undefined)).toBe(true);
  expect(all.map(({ lent }) => lent())).toEqual([0, 0, 1, 0, 0, 0, 0, 0]);
  expect(lendOne(all, '')).toBe(true);
  expect(all.map(({ lent }) => lent())).toEqual([0, 0, 1, 1, 0, 0, 0, 0]);
  expect(lendOne(all, 'initech')).toBe(true);
  expect(all.map(({ lent }) => lent())).toEqual([0, 0, 1, 1, 0, 1, 0, 0]);
  expect(lendOne(all, 'globex')).toBe(false);
});
