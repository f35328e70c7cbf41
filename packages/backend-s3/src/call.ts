import type { CallContext } from '@coffer/storage-core';

import { toStorageError } from './errors.ts';
import type { About } from './errors.ts';

export interface SendOptions {
  readonly abortSignal?: AbortSignal;
}

/** One request to the provider, which rejects with StorageErrors or the reason of the caller's signal. */
export async function call<T>(about: About, { signal }: CallContext, send: (options: SendOptions) => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await send(signal === undefined ? {} : { abortSignal: signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw toStorageError(error, about);
  }
}

/** `work` over all items, at most `limit` at a time, in order. */
export async function inParallel<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of entries) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return results;
}
