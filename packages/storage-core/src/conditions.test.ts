import { describe, expect, it } from 'vitest';

import { assertByteRange, evaluateConditions, resolveRange } from './conditions.ts';

describe('evaluateConditions', () => {
  const lastModified = new Date('2026-01-01T00:00:00.750Z');
  const info = { etag: 'e', lastModified };
  const sameSecond = new Date('2026-01-01T00:00:00.000Z');

  it('compares dates in whole seconds, as HTTP has them', () => {
    expect(evaluateConditions(info, { ifModifiedSince: sameSecond })).toBe('not_modified');
    expect(evaluateConditions(info, { ifUnmodifiedSince: sameSecond })).toBe('send');
    expect(evaluateConditions(info, { ifModifiedSince: new Date('2025-12-31T23:59:59Z') })).toBe('send');
    expect(() => evaluateConditions(info, { ifUnmodifiedSince: new Date('2025-12-31T23:59:59Z') })).toThrowError(
      expect.objectContaining({ code: 'precondition_failed' }),
    );
  });

  it('sends where there is no condition, or a date that is none', () => {
    expect(evaluateConditions(info, {})).toBe('send');
    expect(evaluateConditions(info, { ifModifiedSince: new Date(Number.NaN), ifUnmodifiedSince: new Date(Number.NaN) })).toBe('send');
  });

  it('looks at If-Match first', () => {
    expect(() => evaluateConditions(info, { ifMatch: ['x'], ifNoneMatch: ['e'] })).toThrowError(
      expect.objectContaining({ code: 'precondition_failed' }),
    );
    expect(evaluateConditions(info, { ifMatch: ['e'], ifNoneMatch: ['e'] })).toBe('not_modified');
  });
});

describe('resolveRange', () => {
  it('gives positions that lie within the object, for every range of small objects', () => {
    for (let size = 0; size < 5; size++) {
      for (let start = 0; start < 7; start++) {
        for (let end = start; end < 7; end++) {
          const bytes = [...Array(size).keys()].slice(start, end + 1);
          if (bytes.length === 0)
            expect(() => resolveRange({ start, end }, size)).toThrowError(expect.objectContaining({ objectSize: size }));
          else expect(resolveRange({ start, end }, size)).toEqual({ start: bytes[0], end: bytes.at(-1) });
        }
        const tail = start === 0 ? [] : [...Array(size).keys()].slice(-start);
        if (tail.length === 0)
          expect(() => resolveRange({ suffix: start }, size)).toThrowError(expect.objectContaining({ code: 'range_not_satisfiable' }));
        else expect(resolveRange({ suffix: start }, size)).toEqual({ start: tail[0], end: size - 1 });
      }
    }
  });
});

describe('assertByteRange', () => {
  it.each([
    { start: -1 },
    { start: 0.5 },
    { start: Number.NaN },
    { start: 2, end: 1 },
    { start: 0, end: Infinity },
    { suffix: -1 },
    { suffix: 1e300 },
    { start: 1, suffix: 1 },
    { start: 1, suffix: undefined as never },
  ])('refuses %j', (range) => {
    expect(() => assertByteRange(range)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it.each([{ start: 0 }, { start: 5 }, { start: 1, end: 1 }, { suffix: 0 }, { suffix: 9 }])('takes %j', (range) => {
    expect(() => assertByteRange(range)).not.toThrow();
  });
});
