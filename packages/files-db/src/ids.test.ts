import { describe, expect, it } from 'vitest';

import { createIdGenerator, parseId } from './ids.ts';

describe('createIdGenerator', () => {
  it('makes UUIDs of version 7 that carry their time', () => {
    const id = createIdGenerator(() => 0x0192_3456_789a)();
    expect(id).toMatch(/^01923456-789a-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(parseId(id)).toBe(id);
  });

  it('keeps their order within a millisecond, past its last one, and when the clock goes back', () => {
    let now = 1_700_000_000_000;
    const next = createIdGenerator(() => now);
    const ids = Array.from({ length: 10_000 }, (_, index) => {
      if (index === 9000) now -= 60_000;
      return next();
    });
    expect(ids).toEqual([...new Set(ids)].toSorted());
  });

  it('shares nothing between two generators but the time', () => {
    const [a, b] = [createIdGenerator(() => 1), createIdGenerator(() => 1)];
    expect(new Set([...Array.from({ length: 1000 }, a), ...Array.from({ length: 1000 }, b)]).size).toBe(2000);
  });
});

describe('parseId', () => {
  it('takes UUIDs in any case, and nothing else', () => {
    expect(parseId('0192ABCD-0000-7000-8000-000000000000')).toBe('0192abcd-0000-7000-8000-000000000000');
    for (const wrong of [
      '',
      'x',
      '0192abcd00007000800000000000000',
      '0192abcd-0000-7000-8000-00000000000g',
      '{0192abcd-0000-7000-8000-000000000000}',
    ]) {
      expect(parseId(wrong)).toBeUndefined();
    }
  });
});
