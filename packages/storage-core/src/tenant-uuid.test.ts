import { expect, it } from 'vitest';

import { canonicalTenantUuid, isRealUuid, tenantNameProblem, tenantNameShape } from './index.ts';

const uuid = '9F1C2B7A-3D4E-4F50-8A6B-7C8D9E0F1A2B';

it('spells real UUIDs in lower case and leaves opaque ones alone', () => {
  expect(canonicalTenantUuid(uuid)).toBe(uuid.toLowerCase());
  expect(canonicalTenantUuid('ABC-123-def')).toBe('ABC-123-def');
  expect([uuid, uuid.toLowerCase()].every(isRealUuid)).toBe(true);
  expect(['ABC-123-def', `${uuid}0`, `x${uuid}`, ''].some(isRealUuid)).toBe(false);
});

it('says why a name is invalid, and counts code points as characters', () => {
  for (const sound of ['a', uuid, '🐘'.repeat(128), 'acme corp', '東京']) expect(tenantNameProblem('A name', sound)).toBeUndefined();
  for (const [wrong, problem] of [
    ['', 'A name must not be empty.'],
    ['🐘'.repeat(129), 'A name must have at most 128 characters.'],
    ['\ud800', 'A name must be well-formed Unicode.'],
    ['a\u2028b', 'A name must not contain control characters.'],
    ['a\u0085b', 'A name must not contain control characters.'],
    ['\u3000a', 'A name must not begin or end with white space.'],
    ['\n', 'A name must not contain control characters.'],
    [' ', 'A name must not begin or end with white space.'],
    ['a ', 'A name must not begin or end with white space.'],
  ] as const)
    expect(tenantNameProblem('A name', wrong)).toBe(problem);
});

it('accepts what fits the JSON Schema shape, except U+2028 and U+2029', () => {
  const { pattern, minLength, maxLength } = tenantNameShape;
  const fits = (value: string): boolean => {
    const { length } = Array.from(value);
    return length >= minLength && length <= maxLength && new RegExp(pattern, 'u').test(value);
  };
  for (let code = 0; code < 0x30_00; code++) {
    if (code === 0x20_28 || code === 0x20_29) continue;
    const character = String.fromCodePoint(code);
    for (const value of [character, `a${character}b`, `a${character}`, `${character}b`])
      expect([value, fits(value)]).toEqual([value, tenantNameProblem('It', value) === undefined]);
  }
  for (const value of ['', 'x'.repeat(128), 'x'.repeat(129), '🐘'.repeat(128), '🐘'.repeat(129)])
    expect(fits(value)).toBe(tenantNameProblem('It', value) === undefined);
  // Go's and Rust's regular expressions have no assertions besides the anchors.
  expect(pattern).not.toMatch(/\(\?(?!:)/);
  // Client generators copy it into source code unchanged, where U+2028 ends the line.
  expect(pattern).toMatch(/^[ -~]+$/);
});
