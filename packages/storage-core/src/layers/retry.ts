import { setTimeout as delay } from 'node:timers/promises';

import { isStorageError, storageError } from '../errors.ts';
import type { Around } from './wrap-backend.ts';

/** How often `retry` repeats a call, and how long it pauses. */
export interface RetryPolicy {
  /** Retries after the first attempt. */
  readonly retries: number;
  /** Upper bound of the first pause in milliseconds; it doubles each time. Default 100. */
  readonly baseMs?: number;
  /** Longest pause in milliseconds. Default 20,000. */
  readonly maxMs?: number;
}

/**
 * Repeats calls that failed for a transient reason, with full jitter. For backends whose client does not retry by itself: each backend has
 * exactly one place that retries. Never repeats a call with a streamed body, which is read once, or one that has passed bytes on. A pause
 * that the provider asked for is honoured, up to `maxMs`. What fails after it was repeated is `inDoubt`.
 * @throws invalid_argument when `retries` is not a whole number of at least 0
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function retry(policy: RetryPolicy): Around {
  const { retries, baseMs = 100, maxMs = 20_000 } = policy;
  // NaN, say from a variable that is not set, would never be reached.
  if (!Number.isSafeInteger(retries) || retries < 0)
    throw storageError('invalid_argument', 'retries must be a whole number of at least 0.');
  return async (call, next) => {
    let hasBegun = false;
    call.taps?.push(() => (hasBegun = true));
    for (let attempt = 0; ; attempt++) {
      try {
        return await next();
      } catch (error) {
        // Whatever the last attempt was told, an earlier one may have been carried out.
        if (attempt > 0 && isStorageError(error)) Object.assign(error, { inDoubt: true });
        const repeatable = call.body?.kind !== 'stream' && !hasBegun && isStorageError(error) && error.retryable;
        if (!repeatable || attempt >= retries) throw error;
        const jittered = Math.random() * baseMs * 2 ** attempt;
        await pause(Math.min(maxMs, Math.max(jittered, (error.retryAfter ?? 0) * 1000)), call.ctx.signal);
      }
    }
  };
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch {
    signal?.throwIfAborted(); // the caller's own reason instead of the timer's
  }
}
