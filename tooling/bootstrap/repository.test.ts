import { expect, it } from 'vitest';

import { satisfies } from './repository.mjs';

it.each([
  ['22.22.1', true],
  ['22.22.10', true],
  ['22.23.0', true],
  ['24.0.0', true],
  ['27.0.0-nightly20261201', true],
  ['22.22.0', false],
  ['22.9.9', false],
  ['20.30.5', false],
])('says whether Node %s is at least 22.22.1: %s', (version, isEnough) => {
  expect(satisfies(version, '>=22.22.1')).toBe(isEnough);
});
