import { isStorageError } from '@coffer/storage-core';

import { isUnreached } from './network-errors.ts';
import { statusOf } from './provider-error.ts';
import type { ProviderError } from './provider-error.ts';

/**
 * Whether an attempt that failed so may have been carried out all the same: its answer got lost, or a gateway's came instead. What the
 * server itself answers with was not done; so Ceph tells the loser of a race for a key.
 */
export function leavesDoubt(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status === 502 || status === 504;
  return !isUnreached(error);
}

/** Whether that was so of an attempt before, of what a StorageError was made from. */
export function wasInDoubt(error: unknown): boolean {
  return isStorageError(error) && (error.cause as ProviderError | undefined)?.$metadata?.isDoubtful === true;
}
