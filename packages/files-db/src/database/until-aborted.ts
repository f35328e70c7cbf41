import { untilAborted as waitFor } from '@coffer/storage-core';

/** Asks the database and stops waiting when the caller's signal aborts; the statement itself goes on. @throws the signal's reason */
export async function untilAborted<T>(run: () => Promise<T>, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<T> {
  signal?.throwIfAborted();
  return waitFor(run(), signal);
}
