import { storageError } from './errors.ts';

/** Only the provider knows its regions; Ceph's may name a placement, as in `eu:cold`. @throws invalid_argument */
export function assertRegion(region: string): void {
  if (typeof region === 'string' && /^[!-~]{1,64}$/.test(region)) return; // plain JavaScript callers have no compiler
  throw storageError('invalid_argument', 'A region must have 1 to 64 printable ASCII characters, without spaces.');
}
