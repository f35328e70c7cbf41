import picomatch from 'picomatch';

import { UsageError } from '../problem.ts';

/** Whether a name, relative to the directory or prefix, is selected. */
export type Filter = (name: string) => boolean;

/** The longest pattern, in characters, that picomatch accepts. */
const maxPatternLength = 65_536;

/**
 * Selects names that match one of the `include` patterns (everything, if there are none) and no `exclude` pattern. `*` stays within a
 * folder, `**` does not. A pattern without a slash matches the last part of a name; one that starts with or contains a slash matches
 * the whole name; one that ends with a slash matches everything inside such folders. An `exclude` pattern that matches a folder's
 * name excludes everything in that folder, unless the pattern matches all names but some.
 * @throws UsageError for a pattern that is empty or too long
 */
export function filterOf(include: readonly string[], exclude: readonly string[]): Filter {
  assertPatterns('--include', include);
  assertPatterns('--exclude', exclude);
  const isIncluded = include.length === 0 ? () => true : anyOf(include.map(matcherOf));
  const isExcluded = exclude.length === 0 ? () => false : anyOf(exclude.map(excluderOf));
  return (name) => isIncluded(name) && !isExcluded(name);
}

/** Whether a folder may hold names that such a filter selects. */
export function folderFilterOf(exclude: readonly string[]): Filter {
  const isExcluded = anyOf(exclude.filter((pattern) => !isAboutOthers(pattern)).map(folderExcluderOf));
  return (folder) => !isExcluded(folder);
}

function assertPatterns(flag: string, patterns: readonly string[]): void {
  for (const pattern of patterns) {
    const { length } = pattern;
    if (/^!*\/*$/.test(pattern)) throw new UsageError(`${flag} needs a pattern; this one is empty.`);
    if (length > maxPatternLength)
      throw new UsageError(`${flag} takes a pattern of at most ${maxPatternLength} characters; this one has ${length}.`);
  }
}

function anyOf(matchers: readonly Filter[]): Filter {
  return (name) => matchers.some((matches) => matches(name));
}

function excluderOf(pattern: string): Filter {
  const matches = matcherOf(pattern);
  return isAboutOthers(pattern) ? matches : (name) => matches(name) || foldersOf(name).some((folder) => matches(folder));
}

function folderExcluderOf(pattern: string): Filter {
  const matches = matcherOf(pattern);
  // Patterns such as x/!(y) and x/!(y)/** match an empty name too, which says nothing about the rest of the folder.
  const isOfAll = pattern.endsWith('/') || /^[^(]*[^(/]\/\*\*$/.test(pattern);
  return (folder) => foldersOf(`${folder}/`).some((each) => matches(each)) || (isOfAll && matches(`${folder}/`));
}

/** Whether a pattern matches all names but some, in any folder: then a match of a folder's name says nothing about what is in the folder. */
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
  // Names never begin with the slash that anchors a pattern, and a "!" after that slash belongs to the name. Without `posix`, [!a]
  // would mean [a!].
  const matches = picomatch(body.replace(/^\//, ''), { dot: true, basename: !body.includes('/'), nonegate: true, posix: true });
  return isOfFolders ? (name) => foldersOf(name).some((folder) => matches(folder)) : matches;
}

/** For `a/b/c`: `a` and `a/b`. */
function foldersOf(name: string): readonly string[] {
  const parts = name.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}
