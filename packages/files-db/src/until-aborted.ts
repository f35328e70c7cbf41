import { onAbort } from '@coffer/storage-core';

/** Waits for the database no longer than the caller does: the statement itself goes on. @throws the signal's reason */
export async function untilAborted<T>(run: () => Promise<T>, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<T> {
  if (signal === undefined) return run();
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const stopWaiting = onAbort(signal, () => reject(signal.reason as Error));
  run().then(resolve, reject);
  try {
    return await promise;
  } finally {
    stopWaiting();
  }
}
