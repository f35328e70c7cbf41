import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { parseRange, readConditionsOf } from './request-conditions.ts';

describe('parseRange', () => {
  it.each([
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=5-', { start: 5 }],
    ['bytes=-5', { suffix: 5 }],
    ['bytes=-0', { suffix: 0 }],
    ['BYTES=1-2', { start: 1, end: 2 }],
    ['bytes= 1-2 ', { start: 1, end: 2 }],
    ['bytes=007-008', { start: 7, end: 8 }],
    [`bytes=0-${'9'.repeat(400)}`, { start: 0, end: Number.MAX_SAFE_INTEGER }],
    [`bytes=${'9'.repeat(400)}-`, { start: Number.MAX_SAFE_INTEGER }],
    [`bytes=-${'9'.repeat(30)}`, { suffix: Number.MAX_SAFE_INTEGER }],
  ])('understands %s', (header, range) => {
    expect(parseRange(header)).toEqual(range);
  });

  it.each([
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=2-1',
    'bytes=0-1,3-4',
    'bytes=a-b',
    'bytes=-1-2',
    'bytes=1.5-2',
    'bytes=0x1-2',
    'bytes=+1-2',
    'items=0-1',
    'xbytes=0-1',
    'bytes=1-2\nx',
    'bytes=1–2',
  ])('takes %j for the whole object', (header) => {
    expect(parseRange(header)).toBeUndefined();
  });
});

describe('readConditionsOf', () => {
  it('reads lists of ETags, quoted or not', () => {
    expect(readConditionsOf({ 'if-none-match': '"a", W/"b" ,bare,"with, comma",""' })).toEqual({
      ifNoneMatch: ['a', 'b', 'bare', 'with, comma', ''],
    });
    expect(readConditionsOf({ 'if-none-match': ' * ' })).toEqual({ ifNoneMatch: '*' });
  });

  it('never lets a weak ETag match If-Match', () => {
    expect(readConditionsOf({ 'if-match': 'W/"a", "b"' })).toEqual({ ifMatch: ['b'] });
    expect(readConditionsOf({ 'if-match': 'W/"a"' })).toEqual({ ifMatch: [] });
  });

  it.each(['', '"', '""""', ',,,', 'W/', '"unclosed', '\\"', '"a'.repeat(4000), 'W/'.repeat(8000), ' '.repeat(16_000)])(
    'survives the ETags %#',
    (header) => {
      for (const name of ['if-match', 'if-none-match'] as const) {
        const { ifMatch, ifNoneMatch } = readConditionsOf({ [name]: header });
        expect(Array.isArray(ifMatch ?? ifNoneMatch)).toBe(true);
      }
    },
  );

  it.each([['Sun, 06 Nov 1994 08:49:37 GMT'], ['Sunday, 06-Nov-94 08:49:37 GMT'], ['Sun Nov  6 08:49:37 1994']])(
    'reads the date %s',
    (header) => {
      vi.stubEnv('TZ', 'Asia/Tokyo'); // the dates mean GMT wherever the server runs
      onTestFinished(() => void vi.unstubAllEnvs());
      expect(readConditionsOf({ 'if-modified-since': header })).toEqual({ ifModifiedSince: new Date('1994-11-06T08:49:37Z') });
      expect(readConditionsOf({ 'if-unmodified-since': header })).toEqual({ ifUnmodifiedSince: new Date('1994-11-06T08:49:37Z') });
    },
  );

  it.each([
    '',
    '1',
    '0',
    '2026',
    'yesterday',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37 +0100',
    'Sun, 99 Xxx 1994 99:99:99 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT, x',
    'x, Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 8:49:37 GMT',
    'Sun Nov  6 08:49:37 1994 +0100',
  ])('ignores %j, which is no date of HTTP', (header) => {
    expect(readConditionsOf({ 'if-modified-since': header, 'if-unmodified-since': header })).toEqual({});
  });
});
