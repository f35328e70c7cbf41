import { isStorageError } from '@coffer/storage-core';

/** With which error `run` refuses: its code and message. */
export function refusal(run: () => unknown): unknown {
  try {
    return { returned: run() };
  } catch (error) {
    if (!isStorageError(error)) throw error;
    return `${error.code}: ${error.message}`;
  }
}
