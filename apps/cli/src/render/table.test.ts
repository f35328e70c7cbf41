import { describe, expect, it } from 'vitest';

import { table } from './table.ts';

describe('table', () => {
  it('has columns as wide as their widest cell', () => {
    const lines = table(
      ['NAME', 'SIZE'],
      [
        ['a', '1'],
        ['long name', '20'],
      ],
    ).split('\n');
    expect(lines.slice(1)).toEqual(['a          1', 'long name  20']);
  });

  it('shows what would move the cursor or turn the direction of writing as its code', () => {
    expect(table(['NAME'], [['a\u001bb\u2028c\u202ed\ud800e']]).split('\n')[1]).toBe(String.raw`a\u{1b}b\u{2028}c\u{202e}d\u{d800}e`);
  });

  it('lets one very long cell make no other row as long', () => {
    const long = 'x'.repeat(100_000);
    const lines = table(
      ['UUID', 'BUCKETS', 'QUOTA'],
      [
        ['1', 'b', 'none'],
        ['2', long, 'none'],
      ],
    ).split('\n');
    expect(lines.slice(1)).toEqual(['1     b        none', `2     ${long}  none`]);
  });

  it('takes as many rows as there are', () => {
    const rows = Array.from({ length: 200_000 }, (_, index) => [String(index)]);
    expect(table(['NAME'], rows).split('\n')).toHaveLength(200_001);
  });
});
