import { keyProblem } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';

/** A prefix ends at a folder boundary: `a` does not match `ab`. */
export function folderPrefix(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}

export function lastPart(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

/** @param folder a prefix that ends in "/", or the empty one */
export function nothingBelowError(folder: string): LocalError {
  if (folder === '') return new LocalError('file_not_found', 'The bucket is empty.');
  const name = folder.slice(0, -1);
  const hint = keyProblem(name) === undefined ? `; to name an object ${name}, leave out --recursive` : '';
  return new LocalError('file_not_found', `There are no objects below ${folder}${hint}.`);
}
