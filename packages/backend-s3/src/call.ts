import type { CallContext } from '@coffer/storage-core';

import { toStorageError } from './errors.ts';
import type { About } from './errors.ts';

interface SendOptions {
  readonly abortSignal?: AbortSignal;
}

/** Sends one request to the provider. Rejects with a StorageError, or with the reason of the caller's signal. */
export async function call<T>(about: About, { signal }: CallContext, send: (options: SendOptions) => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await send(signal === undefined ? {} : { abortSignal: signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw toStorageError(error, about);
  }
}
