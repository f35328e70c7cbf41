import { untilAborted as waitFor } from '@coffer/storage-core';

/** Asks the database, and waits no longer than the caller does: the statement itself goes on. @throws the signal's reason */
export async function untilAborted<T>(run: () => Promise<T>, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<T> {
  signal?.throwIfAborted();
  return waitFor(run(), signal);
}
