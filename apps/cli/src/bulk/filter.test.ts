import { describe, expect, it } from 'vitest';

import { UsageError } from '../problem.ts';
import { filterOf, folderFilterOf } from './filter.ts';

describe('filterOf', () => {
  it.each([
    [[], [], 'a/b.txt', true],
    [['*.txt'], [], 'a/b.txt', true],
    [['*.txt'], [], '.b.txt', true],
    [['*.txt'], [], 'a/b.md', false],
    [['a/*.txt'], [], 'a/b.txt', true],
    [['a/*.txt'], [], 'a/b/c.txt', false],
    [['a/**/*.txt'], [], 'a/b/c.txt', true],
    [[], ['.*'], '.hidden', false],
    [[], ['.*'], 'a/.hidden', false],
    [['**'], ['a/**'], 'a/b', false],
    [['*.txt', '*.md'], ['secret.*'], 'a/secret.md', false],
    [['*.{jpg,png}'], [], 'x/y.png', true],
    [[], ['build'], 'build', false],
    [[], ['build'], 'build/', false],
    [[], ['build'], 'x/build/y/a', false],
    [[], ['build'], 'rebuild/a', true],
    [[], ['.*'], '.git/config', false],
    [[], ['/build'], 'build/a', false],
    [[], ['/build'], 'x/build/a', true],
    [[], ['cache/*'], 'cache/a/b', false],
    [[], ['cache/*'], 'x/cache/a', true],
    [[], ['!*.txt'], 'x/a.txt', true],
    [[], ['!(*.txt|*.md)'], 'x/a.txt', true],
    [[], ['!(*.txt|*.md)'], 'x/a.bin', false],
    [[], ['**/!(*.txt|*.md)'], 'x/y/a.txt', true],
    [[], ['**/!(*.txt|*.md)'], 'x/y/a.bin', false],
    [[], ['build/!(keep)'], 'build/x/y', false],
    [[], ['build/!(keep)'], 'build/keep/x', true],
    [['build'], [], 'build/a', false],
    [[], ['build/'], 'build/a', false],
    [[], ['build/'], 'x/build/y/a', false],
    [[], ['build/'], 'build/', false],
    [[], ['build/'], 'build', true],
    [[], ['build/'], 'x/build', true],
    [[], ['build/'], 'rebuild/a', true],
    [[], ['*.d/'], 'x/conf.d/a', false],
    [[], ['x/build/'], 'x/build/a', false],
    [[], ['x/build/'], 'y/x/build/a', true],
    [[], ['/build/'], 'build/y/a', false],
    [[], ['/build/'], 'x/build/a', true],
    [[], ['/secret.txt'], 'secret.txt', false],
    [[], ['/secret.txt'], 'x/secret.txt', true],
    [[], ['/x/*.txt'], 'x/a.txt', false],
    [[], ['//a'], '/a', false],
    [['/!a'], [], '!a', true],
    [['/!a'], [], 'b', false],
    [['/!(a|b)'], [], 'c', true],
    [['build/'], [], 'x/build/a', true],
    [['build/'], [], 'x/a', false],
    [['!build/'], [], 'x/a', true],
    [['!build/'], [], 'build/x/a', false],
    [['!*.txt'], [], 'x/a.txt', false],
    [['!(a|b).txt'], [], 'x/c.txt', true],
    [['!(a|b).txt'], [], 'x/a.txt', false],
    [['[a-c].txt'], [], 'x/b.txt', true],
    [['[!a-c].txt'], [], 'x/b.txt', false],
    [['[!a-c].txt'], [], 'x/d.txt', true],
    [[], ['[!a]*'], 'a.txt', true],
    [['\\[!a\\]'], [], '[!a]', true],
  ])('with %j but not %j, %s: %s', (include, exclude, name, taken) => {
    expect(filterOf(include, exclude)(name)).toBe(taken);
  });

  it.each([
    [[''], [], '--include'],
    [['*.txt', ''], [], '--include'],
    [[], [''], '--exclude'],
    [[], ['/'], '--exclude'],
    [['!'], [], '--include'],
    [['x'.repeat(65_537)], [], '--include'],
    [[], ['x'.repeat(65_537)], '--exclude'],
  ])('refuses a meaningless pattern (%#)', (include, exclude, flag) => {
    expect(() => filterOf(include, exclude)).toThrow(UsageError);
    expect(() => filterOf(include, exclude)).toThrow(flag);
  });

  it('takes the longest pattern', () => {
    expect(filterOf(['x'.repeat(65_536)], [])('x'.repeat(65_536))).toBe(true);
  });
});

it.each([
  ['build', 'build', false],
  ['build', 'x/build/y', false],
  ['build/', 'build', false],
  ['build/*', 'build', true],
  ['build/**', 'build', false],
  ['build/**', 'build/x', false],
  ['build/*.txt', 'build', true],
  ['build/!(keep)', 'build', true],
  ['build/!(keep)', 'build/x', false],
  ['build/!(keep)', 'build/keep', true],
  ['build/?(a)', 'build', true],
  ['build/!(keep)/**', 'build', true],
  ['build/!(keep)/**', 'build/x', false],
  ['build/!(keep)/**', 'build/keep', true],
  ['build/?(a)/**', 'build', true],
  ['b*/**', 'build', false],
  ['**/!(*.txt)', 'build', true],
])('folderFilterOf without %s, %s: %s', (exclude, folder, taken) => {
  expect(folderFilterOf([exclude])(folder)).toBe(taken);
});
