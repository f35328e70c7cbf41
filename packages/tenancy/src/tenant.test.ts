import { describe, expect, it } from 'vitest';

import { canonicalTenantUuid, tenantSlugProblem, tenantUuidProblem } from './index.ts';

const uuid = '9F1C2B7A-3D4E-4F50-8A6B-7C8D9E0F1A2B';

describe('the shape of a tenant', () => {
  it.each(['abc-123-def', 'a', uuid, 'x'.repeat(128), '🐘'.repeat(128), 'acme corp', '東京', 'Ünïcode', '../..', '0'])(
    'takes %j as uuid and slug',
    (value) => {
      expect(tenantUuidProblem(value)).toBeUndefined();
      expect(tenantSlugProblem(value)).toBeUndefined();
    },
  );

  it.each([
    ['', 'must not be empty'],
    ['x'.repeat(129), 'at most 128 characters'],
    ['🐘'.repeat(129), 'at most 128 characters'],
    ['x'.repeat(1_000_000), 'at most 128 characters'],
    ['a\0b', 'control characters'],
    ['a\nb', 'control characters'],
    ['a\u0085b', 'control characters'],
    ['a\u2028b', 'control characters'],
    ['a\ud800', 'well-formed'],
    [' a', 'white space'],
    ['a\u00a0', 'white space'],
    ['\ufeffa', 'white space'],
  ])('refuses %j', (value, reason) => {
    expect(tenantUuidProblem(value)).toContain(reason);
    expect(tenantSlugProblem(value)).toContain(reason);
  });

  it.each([undefined, null, 1, {}, ['a']])('refuses %j, from callers without a compiler', (value) => {
    expect(tenantUuidProblem(value as never)).toContain('must be a string');
  });
});

it('spells real UUIDs in lower case and leaves opaque ones alone', () => {
  expect(canonicalTenantUuid(uuid)).toBe(uuid.toLowerCase());
  expect(canonicalTenantUuid('ABC-123-def')).toBe('ABC-123-def');
});
