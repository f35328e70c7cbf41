import { storageError } from './errors.ts';

/** What can be a region. Only the provider knows its own; Ceph's may name a placement, as in `eu:cold`. */
export const regionPattern: RegExp = /^[!-~]{1,64}$/;

/** @throws invalid_argument */
export function assertRegion(region: string): void {
  if (typeof region === 'string' && regionPattern.test(region)) return; // plain JavaScript callers have no compiler
  throw storageError('invalid_argument', 'A region must have 1 to 64 printable ASCII characters, without spaces.');
}
