import { LocalError } from '../problem.ts';

/** A prefix ends at a folder boundary: `a` does not match `ab`. */
export function folderPrefix(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}

export function lastPart(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

export function nothingBelowError(prefix: string): LocalError {
  return new LocalError('file_not_found', prefix === '' ? 'The bucket is empty.' : `There are no objects below ${prefix}`);
}
