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
  const message = `There are no objects below ${folder}; to name an object ${folder.slice(0, -1)}, leave out --recursive.`;
  return new LocalError('file_not_found', folder === '' ? 'The bucket is empty.' : message);
}
