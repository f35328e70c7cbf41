import { keyProblem } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';

/** A prefix ends at a folder boundary: `a` does not match `ab`. */
export function folderPrefix(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}

export function lastPart(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

/** For a key or prefix that matches nothing: in other tools, it could be a pattern. */
export function patternHint(key: string): string {
  return /[*?]/.test(key) ? ' Keys are not patterns; use --recursive with --include.' : '';
}

/** @param folder a prefix that ends in "/", or the empty one */
export function nothingBelowError(folder: string): LocalError {
  if (folder === '') return new LocalError('file_not_found', 'The bucket is empty.');
  const name = folder.slice(0, -1);
  const isNamed = patternHint(name) === '' && keyProblem(name) === undefined;
  const hint = isNamed ? `; to name an object ${name}, leave out --recursive.` : `.${patternHint(name)}`;
  return new LocalError('file_not_found', `There are no objects below ${folder}${hint}`);
}
