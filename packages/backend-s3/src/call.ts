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

/**
 * `work` over all items, at most `limit` at a time, in order. Where some of it fails, no more begins, and what is under way ends before
 * this rejects: nothing goes on behind the back of who cleans up.
 */
export async function inParallel<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const failures: unknown[] = [];
  const entries = items.entries();
  const lane = async (): Promise<void> => {
    try {
      for (const [index, item] of entries) {
        if (failures.length > 0) return;
        results[index] = await work(item);
      }
    } catch (error) {
      failures.push(error);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  if (failures.length > 0) throw failures[0];
  return results;
}

/** As Promise.all, but nothing is under way any more when this rejects. */
export async function allEnded<const T extends readonly unknown[]>(work: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
