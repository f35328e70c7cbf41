import { hasCode, isStorageError, storageError } from '@coffer/storage-core';
import type { CallContext, StorageError } from '@coffer/storage-core';

import { isAboutAccount } from './provider-error.ts';

/** A refusal may be of every bucket. */
const maxNamed = 20;

/**
 * Collects the failures of a sweep. A failing bucket does not stop the sweep of the others; `maxConsecutive` failures in a row do, because then the
 * server is failing, or no longer knows the keys.
 */
export class BucketFailures {
  readonly #maxConsecutive: number;
  readonly #errors: StorageError[] = [];
  #consecutive = 0;

  constructor(maxConsecutive: number) {
    this.#maxConsecutive = maxConsecutive;
  }

  /**
   * @returns `fallback` if `sweep` failed
   * @throws if that ends the sweep: the call was aborted, the error is not a StorageError, or `maxConsecutive` buckets in a row have failed
   */
  async tolerate<T>(bucket: string, fallback: T, sweep: () => Promise<T>, { signal }: CallContext): Promise<T> {
    try {
      const result = await sweep();
      this.#consecutive = 0;
      return result;
    } catch (cause) {
      signal?.throwIfAborted();
      if (!isStorageError(cause)) throw cause;
      this.#errors.push(failureOf(bucket, cause));
      const isOnlyBucket = hasCode(cause, 'access_denied') && !isAboutAccount(cause);
      if (!isOnlyBucket && ++this.#consecutive >= this.#maxConsecutive) this.report();
      return fallback;
    }
  }

  /** @throws the first failure, with the messages of all of them, or of the first if there are many; nothing if there was none */
  report(): void {
    const [first] = this.#errors;
    if (first === undefined) return;
    if (this.#errors.length === 1) throw first;
    const others = this.#errors.length - maxNamed;
    const more = others > 0 ? [`And so with ${others} more.`] : [];
    const message = [...this.#errors.slice(0, maxNamed).map((error) => error.message), ...more].join(' ');
    const retryable = this.#errors.every((error) => error.retryable);
    throw storageError(first.code, message, { ...delayOf(first), retryable, cause: first });
  }
}

function failureOf(bucket: string, cause: StorageError): StorageError {
  const message = `The bucket "${bucket}" could not be swept: ${cause.message}`;
  return storageError(cause.code, message, { ...delayOf(cause), retryable: cause.retryable, cause });
}

function delayOf({ retryAfter }: StorageError): { readonly retryAfter?: number } {
  return retryAfter === undefined ? {} : { retryAfter };
}
