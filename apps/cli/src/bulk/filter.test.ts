import { describe, expect, it } from 'vitest';

import { filterOf } from './filter.ts';

describe('filterOf', () => {
  it.each([
    [[], [], 'a/b.txt', true],
    [['*.txt'], [], 'a/b.txt', true],
    [['*.txt'], [], 'a/b.md', false],
    [['a/*.txt'], [], 'a/b.txt', true],
    [['a/*.txt'], [], 'a/b/c.txt', false],
    [['a/**/*.txt'], [], 'a/b/c.txt', true],
    [[], ['.*'], '.hidden', false],
    [[], ['.*'], 'a/.hidden', false],
    [['**'], ['a/**'], 'a/b', false],
    [['*.txt', '*.md'], ['secret.*'], 'a/secret.md', false],
    [['*.{jpg,png}'], [], 'x/y.png', true],
  ])('with %j but not %j, %s: %s', (include, exclude, name, taken) => {
    expect(filterOf(include, exclude)(name)).toBe(taken);
  });
});
