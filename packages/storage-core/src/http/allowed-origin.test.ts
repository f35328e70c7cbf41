import { describe, expect, it } from 'vitest';

import { isAllowedOrigin } from './allowed-origin.ts';

describe('isAllowedOrigin', () => {
  const allowed = ['https://app.example.com', 'https://*.wild.test'];

  it.each([
    ['https://app.example.com', true],
    ['https://APP.example.com', true],
    ['https://app.example.com:8443', false],
    ['http://app.example.com', false],
    ['https://app.example.com.evil.test', false],
    ['https://a.wild.test', true],
    ['https://a.b.wild.test', true],
    ['https://wild.test', false],
    ['https://.wild.test', false],
    ['https://evilwild.test', false],
    ['http://a.wild.test', false],
    ['http://longer.than.the.pattern.wild.test', false],
    ['capacitor://app.wild.test', false],
    ['null', false],
    ['', false],
  ])('%j is %s', (origin, expected) => {
    expect(isAllowedOrigin(origin, allowed)).toBe(expected);
    expect(isAllowedOrigin(origin, [...allowed, '*'])).toBe(true);
    expect(isAllowedOrigin(origin, [])).toBe(false);
  });

  it('takes patterns in whatever case they are written', () => {
    for (const pattern of ['HTTPS://App.Example.com', 'https://*.Example.COM'])
      expect(isAllowedOrigin('https://app.example.com', [pattern])).toBe(true);
  });
});
