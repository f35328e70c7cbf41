import picomatch from 'picomatch';

import { UsageError } from '../problem.ts';

/** Whether a name, relative to the directory or prefix, is to be taken. */
export type Filter = (name: string) => boolean;

/** The most characters that picomatch takes. */
const longestPattern = 65_536;

/**
 * Takes what one of the `include` patterns matches (everything, without any) and no `exclude` pattern does. `*` stays
 * within a folder, `**` does not; a pattern without a slash is about the last part of a name.
 * @throws UsageError for a pattern that is empty or too long
 */
export function filterOf(include: readonly string[], exclude: readonly string[]): Filter {
  assertPatterns('--include', include);
  assertPatterns('--exclude', exclude);
  const isIncluded = include.length === 0 ? () => true : matcher(include);
  const isExcluded = exclude.length === 0 ? () => false : matcher(exclude);
  return (name) => isIncluded(name) && !isExcluded(name);
}

function assertPatterns(flag: string, patterns: readonly string[]): void {
  for (const { length } of patterns) {
    if (length === 0) throw new UsageError(`${flag} takes a pattern, and this one is empty.`);
    if (length > longestPattern)
      throw new UsageError(`${flag} takes a pattern of at most ${longestPattern} characters; this one has ${length}.`);
  }
}

function matcher(patterns: readonly string[]): Filter {
  const matchers = patterns.map((pattern) => picomatch(pattern, { dot: true, basename: !pattern.includes('/') }));
  return (name) => matchers.some((matches) => matches(name));
}
