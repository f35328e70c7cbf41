import { untilAborted as waitFor } from '@coffer/storage-core';

/** Runs what nothing can stop, such as a statement, and waits for it until the caller's signal aborts. @throws the signal's reason */
export async function untilAborted<T>(run: () => Promise<T>, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<T> {
  signal?.throwIfAborted();
  return waitFor(run(), signal);
}
