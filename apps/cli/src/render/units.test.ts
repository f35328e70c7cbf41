import { expect, it } from 'vitest';

import { printable } from './printable.ts';
import { bytesText, countText, durationText } from './units.ts';

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.00 KiB'],
  [10 * 1024, '10.0 KiB'],
  [155_000_006, '148 MiB'],
  [3 * 2 ** 30, '3.00 GiB'],
  [5 * 2 ** 40, '5.00 TiB'],
  [2 ** 70, '1048576 PiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

it.each([
  [0.04, '0.0 s'],
  [9.94, '9.9 s'],
  [12, '12 s'],
  [59.6, '1 min 0 s'],
  [200, '3 min 20 s'],
  [3900, '1 h 5 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(durationText(seconds)).toBe(text);
});

it('counts', () => {
  expect([countText(1, 'object'), countText(2000, 'object')]).toEqual(['1 object', '2,000 objects']);
});

it('lets no name move the cursor, break the line or turn the writing', () => {
  expect(printable('a\u001b[2Jb\nc\r\u202ed\u0000\ud800')).toBe('a\\u{1b}[2Jb\\u{a}c\\u{d}\\u{202e}d\\u{0}\\u{d800}');
  expect(printable('é 東京 🎉')).toBe('é 東京 🎉');
});
