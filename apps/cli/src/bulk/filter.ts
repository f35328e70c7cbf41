import picomatch from 'picomatch';

import { UsageError } from '../problem.ts';

/** Whether a name, relative to the directory or prefix, is to be taken. */
export type Filter = (name: string) => boolean;

/** The most characters that picomatch takes. */
const longestPattern = 65_536;

/**
 * Takes what one of the `include` patterns matches (everything, without any) and no `exclude` pattern does. `*` stays
 * within a folder, `**` does not; a pattern without a slash is about the last part of a name, one with a slash before or
 * in it about the whole name, one with a slash behind it about what lies in such folders. What an `exclude` pattern says of the
 * name of a folder, it says of all that lies in it, unless it is about all other names.
 * @throws UsageError for a pattern that is empty or too long
 */
export function filterOf(include: readonly string[], exclude: readonly string[]): Filter {
  assertPatterns('--include', include);
  assertPatterns('--exclude', exclude);
  const isIncluded = include.length === 0 ? () => true : matcher(include.map(matcherOf));
  const isExcluded = exclude.length === 0 ? () => false : matcher(exclude.map(excluderOf));
  return (name) => isIncluded(name) && !isExcluded(name);
}

/** Whether a folder may hold names that such a filter takes. */
export function folderFilterOf(exclude: readonly string[]): Filter {
  const isExcluded = matcher(exclude.filter((pattern) => !isAboutOthers(pattern)).map(folderExcluderOf));
  return (folder) => !isExcluded(folder);
}

function assertPatterns(flag: string, patterns: readonly string[]): void {
  for (const pattern of patterns) {
    const { length } = pattern;
    if (/^!*\/*$/.test(pattern)) throw new UsageError(`${flag} needs a pattern; this one is empty.`);
    if (length > longestPattern)
      throw new UsageError(`${flag} takes a pattern of at most ${longestPattern} characters; this one has ${length}.`);
  }
}

function matcher(matchers: readonly Filter[]): Filter {
  return (name) => matchers.some((matches) => matches(name));
}

function excluderOf(pattern: string): Filter {
  const matches = matcherOf(pattern);
  return isAboutOthers(pattern) ? matches : (name) => matches(name) || foldersOf(name).some((folder) => matches(folder));
}

function folderExcluderOf(pattern: string): Filter {
  const matches = matcherOf(pattern);
  // That others match a name of nothing, as x/!(y) and x/!(y)/** do, says nothing of what lies there.
  const isOfAll = pattern.endsWith('/') || /^[^(]*[^(/]\/\*\*$/.test(pattern);
  return (folder) => foldersOf(`${folder}/`).some((each) => matches(each)) || (isOfAll && matches(`${folder}/`));
}

/** Whether it is about all names but some, in any folder: that a folder has another name says nothing of what lies in it. */
function isAboutOthers(pattern: string): boolean {
  return /(?:^|\*\*\/)!/.test(pattern);
}

function matcherOf(pattern: string): Filter {
  if (/^!(?!\()/.test(pattern)) {
    const matches = matcherOf(pattern.slice(1));
    return (name) => !matches(name);
  }
  const isOfFolders = pattern.endsWith('/');
  const body = isOfFolders ? pattern.slice(0, -1) : pattern;
  // No name begins with the slash that stands for the top; a "!" behind it belongs to the name. Without `posix`, [!a] would be [a!].
  const matches = picomatch(body.replace(/^\//, ''), { dot: true, basename: !body.includes('/'), nonegate: true, posix: true });
  return isOfFolders ? (name) => foldersOf(name).some((folder) => matches(folder)) : matches;
}

/** `a` and `a/b` of `a/b/c`. */
function foldersOf(name: string): readonly string[] {
  const parts = name.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}
