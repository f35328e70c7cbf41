import { hasCode, isStorageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';

import { allEnded } from '../concurrency.ts';

/**
 * Whether the provider says no to all of these because of their conditions. Who may not do such a thing at all learns nothing of them,
 * and does not trust them.
 */
export function allHeld(...requests: readonly Promise<unknown>[]): Promise<boolean> {
  return areAll(requests, (error) => {
    // So a server says that a condition is not met, or that it has no such conditions.
    if (hasCode(error, 'precondition_failed', 'not_supported', 'invalid_argument')) return true;
    if (hasCode(error, 'access_denied')) return false;
    throw error;
  });
}

/** @throws what is no answer: the next one who needs to know tries again */
async function areAll(requests: readonly Promise<unknown>[], isRefusal: (error: StorageError) => boolean): Promise<boolean> {
  const answers = await allEnded(
    requests.map((request) =>
      request.then(
        () => false,
        (error: unknown) => {
          if (!isStorageError(error) || error.retryable || error.code === 'internal_error') throw error;
          return isRefusal(error);
        },
      ),
    ),
  );
  return !answers.includes(false);
}

/** Whether the provider does not say no, for whatever reason. Being out of reach is no answer. */
export async function isTaken(request: Promise<unknown>): Promise<boolean> {
  return !(await areAll([request], () => true));
}
