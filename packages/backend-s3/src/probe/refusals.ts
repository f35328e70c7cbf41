import { hasCode, isStorageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';

import { allEnded } from '../concurrency.ts';

/**
 * Whether the provider refuses all of these requests because of their conditions. Credentials that may not make such a request at all learn
 * nothing about its conditions, and do not trust them.
 */
export function allRefused(...requests: readonly Promise<unknown>[]): Promise<boolean> {
  return areAll(requests, (error) => {
    // How servers say that a condition is not met, or that they do not support it.
    if (hasCode(error, 'precondition_failed', 'not_supported', 'invalid_argument')) return true;
    if (hasCode(error, 'access_denied')) return false;
    throw error;
  });
}

/** @throws errors that are no answer: the next caller who needs to know tries again */
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

/** Whether the provider does not refuse the request, for whatever reason. @throws if it is out of reach, which is no answer */
export async function isAccepted(request: Promise<unknown>): Promise<boolean> {
  return !(await areAll([request], () => true));
}

/** Whether the provider refuses the request for lack of a permission. @throws if it is out of reach, which is no answer */
export function isDenied(request: Promise<unknown>): Promise<boolean> {
  return areAll([request], (error) => hasCode(error, 'access_denied'));
}
