import { expect, it } from 'vitest';

import { tenantLabel } from './index.ts';

it('is the slug, or none without one', () => {
  const label = tenantLabel();
  expect(label('acme')).toBe('acme');
  expect(label(undefined)).toBe('none');
  expect(label('')).toBe('none');
});

it('is other past 1,000 distinct slugs, while those already known keep their own', () => {
  const label = tenantLabel();
  const labels = Array.from({ length: 1500 }, (_, index) => label(`tenant-${index}`));
  expect(labels.filter((value) => value === 'other')).toHaveLength(500);
  expect(new Set(labels).size).toBe(1001);
  expect(label('tenant-999')).toBe('tenant-999');
  expect(label('tenant-1000')).toBe('other');
  expect(label(undefined)).toBe('none');
});

it('is unambiguous for tenants whose slug is none or other', () => {
  const label = tenantLabel(9);
  expect(['none', 'other', 'tenant:none', 'tenant:tenant:other', 'None', 'another'].map(label)).toEqual([
    'tenant:none',
    'tenant:other',
    'tenant:tenant:none',
    'tenant:tenant:tenant:other',
    'None',
    'another',
  ]);
});

it('takes another limit', () => {
  const label = tenantLabel(1);
  expect([label('a'), label('b'), label('a')]).toEqual(['a', 'other', 'a']);
});
