import picomatch from 'picomatch';

/** Whether a name, relative to the directory or prefix, is to be taken. */
export type Filter = (name: string) => boolean;

/**
 * Takes what one of the `include` patterns matches (everything, without any) and no `exclude` pattern does. `*` stays
 * within a folder, `**` does not; a pattern without a slash is about the last part of a name.
 */
export function filterOf(include: readonly string[], exclude: readonly string[]): Filter {
  const isIncluded = include.length === 0 ? () => true : matcher(include);
  const isExcluded = exclude.length === 0 ? () => false : matcher(exclude);
  return (name) => isIncluded(name) && !isExcluded(name);
}

function matcher(patterns: readonly string[]): Filter {
  const matchers = patterns.map((pattern) => picomatch(pattern, { dot: true, basename: !pattern.includes('/') }));
  return (name) => matchers.some((matches) => matches(name));
}
