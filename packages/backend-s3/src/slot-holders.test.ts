import { expect, it } from 'vitest';

import { reclaimOne } from './slot-holders.ts';
import type { SlotHolder } from './slot-holders.ts';

function holder(how: Partial<Pick<SlotHolder, 'stalledFor' | 'servedFor' | 'tenant'>>): SlotHolder & { readonly lent: () => number } {
  let lent = 0;
  return {
    tenant: '',
    stalledFor: undefined,
    servedFor: undefined,
    ...how,
    yieldSlot: () => void lent++,
    close: () => {},
    lent: () => lent,
  };
}

it('picks the place that was idle longest, or else used longest, and only places of the tenant if one is given', () => {
  const all = [
    holder({ servedFor: 5000 }),
    holder({ stalledFor: 300 }),
    holder({ stalledFor: 900, tenant: 'acme' }),
    holder({ stalledFor: 500 }),
    holder({ servedFor: 2000, tenant: 'initech' }),
    holder({ servedFor: 3000, tenant: 'initech' }),
    holder({ servedFor: 1000, tenant: 'initech' }),
    holder({ tenant: 'globex' }),
  ];
  expect(reclaimOne(all, undefined)).toBe(true);
  expect(all.map(({ lent }) => lent())).toEqual([0, 0, 1, 0, 0, 0, 0, 0]);
  expect(reclaimOne(all, '')).toBe(true);
  expect(all.map(({ lent }) => lent())).toEqual([0, 0, 1, 1, 0, 0, 0, 0]);
  expect(reclaimOne(all, 'initech')).toBe(true);
  expect(all.map(({ lent }) => lent())).toEqual([0, 0, 1, 1, 0, 1, 0, 0]);
  expect(reclaimOne(all, 'globex')).toBe(false);
});
