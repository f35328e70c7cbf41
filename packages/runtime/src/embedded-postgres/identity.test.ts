import { describe, expect, it } from 'vitest';

import { capabilityOf } from './identity.ts';

describe('capabilityOf', () => {
  it.each([
    ['000001ffffffffff', 'dac_read_search'],
    ['00000000a80425fb', 'dac_override'], // Docker's default set
    ['0000000000000004', 'dac_read_search'],
    ['0000000000000000', undefined],
  ])('finds in CapEff %s: %s', (mask, expected) => {
    expect(capabilityOf(`Name:\tnode\nCapPrm:\t0000000000000000\nCapEff:\t${mask}\nCapBnd:\tffffffffffffffff\n`)).toBe(expected);
  });

  it('expects nothing where the system says nothing', () => {
    expect(capabilityOf('')).toBeUndefined();
  });
});
