import { isDeepStrictEqual } from 'node:util';

import { storageError } from '@coffer/storage-core';

/** @throws not_supported if the server ignores the marker, so that the same page would come for ever */
export function assertAdvances(after: unknown, next: unknown): void {
  if (next !== undefined && isDeepStrictEqual(next, after))
    throw storageError('not_supported', 'This storage provider cannot continue a listing from where a page ended.');
}
