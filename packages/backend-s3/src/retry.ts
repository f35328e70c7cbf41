import { setTimeout as delay } from 'node:timers/promises';

import { untilAborted } from '@coffer/storage-core';
import type { DefaultRateLimiter } from '@smithy/core/retry';

import { isInterrupted } from './http/socket-errors.ts';
import { isConnectError } from './network-errors.ts';
import { headerOf, isOfGateway, secondsIn, statusOf } from './provider-error.ts';
import type { Settings } from './settings.ts';

/* The policy and the numbers of the AWS SDK. Delays are in milliseconds. */
const baseDelay = 50;
const throttledBaseDelay = 1000;
const longestDelay = 20_000;
/** How much longer than the backoff a server may make us wait. */
const maxExtraDelay = 5000;
const fullCapacity = 500;
const cost = 14;
const throttledCost = 5;
/* Ours, for a server that is being restarted: with three retries, 3.5 to 7 seconds. */
const patientBaseDelay = 1000;

const throttlingNames: ReadonlySet<string> = new Set([
  'BandwidthLimitExceeded',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
]);
/** `OperationAborted`: AWS is still at work on another change of the bucket, Swift on another write of the object. */
const transientNames: ReadonlySet<string> = new Set(['OperationAborted', 'RequestTimeout', 'RequestTimeoutException', 'TimeoutError']);

/** What a retry has cost, for `succeeded` to give back. */
export interface RetryCost {
  readonly amount: number;
  readonly isThrottled: boolean;
}

/**
 * Decides how often and when failed requests are retried. A server that fails all the time gets few retries, and so does a bucket that is
 * throttled, which leaves those of other tenants' buckets alone.
 */
export class RetryPolicy {
  readonly #attempts: number;
  readonly #isPaced: boolean;
  readonly #isPatient: boolean;
  #limiter: DefaultRateLimiter | undefined;
  #capacity = fullCapacity;
  /** What is left for buckets that were throttled; all of it for others. */
  readonly #throttledCapacity = new Map<string, number>();
  /** Whether the server has answered, and has not been waited for in vain since. */
  #isExpected = false;

  constructor({ maxRetries, retryMode, patient }: Pick<Settings, 'maxRetries' | 'retryMode' | 'patient'>) {
    this.#attempts = maxRetries + 1;
    this.#isPaced = retryMode === 'adaptive';
    this.#isPatient = patient;
  }

  /** Called before each attempt. Waits only in `adaptive` mode, for the rate that the server can take. */
  pace(signal: AbortSignal | undefined): Promise<void> | undefined {
    return this.#isPaced ? this.#takeToken(signal) : undefined;
  }

  /** @param cost of the last retry, if there was one */
  succeeded(bucket = '', cost?: RetryCost): void {
    this.#limiter?.updateClientSendingRate({});
    this.#isExpected = true;
    const { amount = 1, isThrottled = false } = cost ?? {};
    if (!isThrottled) this.#capacity = Math.min(fullCapacity, this.#capacity + amount);
    const left = this.#throttledCapacity.get(bucket);
    if (left === undefined) return;
    const restored = left + (isThrottled ? amount : 1);
    if (restored < fullCapacity) this.#throttledCapacity.set(bucket, restored);
    else this.#throttledCapacity.delete(bucket);
  }

  /**
   * Waits until the next attempt is due.
   * @param bucket of the request, if it is for one
   * @throws `error` if there is no further attempt
   */
  async waitForRetry(error: unknown, attempt: number, signal: AbortSignal | undefined, bucket = ''): Promise<RetryCost> {
    const isThrottled = isThrottling(error);
    this.#limiter?.updateClientSendingRate({ errorType: isThrottled ? 'THROTTLING' : 'TRANSIENT' });
    const isWaitedFor = this.#isPatient && this.#isExpected && !isThrottled && isAbsent(error);
    // Otherwise callers who wait for an absent server would use up the retries meant for occasional failures.
    const amount = isWaitedFor ? 0 : isThrottled ? throttledCost : cost;
    const left = (isThrottled ? (this.#throttledCapacity.get(bucket) ?? fullCapacity) : this.#capacity) - amount;
    if (attempt >= this.#attempts || left < 0 || !(isThrottled || isTransient(error))) {
      if (isWaitedFor) this.#isExpected = false;
      throw error;
    }
    if (isThrottled) this.#throttledCapacity.set(bucket, left);
    else this.#capacity = left;
    await delay(delayAfter(error, attempt, Math.random(), isWaitedFor), undefined, signal && { signal });
    return { amount, isThrottled };
  }

  async #takeToken(signal: AbortSignal | undefined): Promise<void> {
    if (this.#limiter === undefined) {
      const { DefaultRateLimiter: Limiter } = await import('./rate-limiter.ts');
      this.#limiter ??= new Limiter();
    }
    await untilAborted(this.#limiter.getSendToken(), signal);
  }
}

/**
 * Milliseconds until the next attempt.
 * @param chance from 0 to 1, so that not all clients return at once
 * @param isWaitedFor the server is expected to come back, which no luck with `chance` makes sooner
 */
export function delayAfter(error: unknown, attempt: number, chance: number, isWaitedFor = false): number {
  const base = isWaitedFor ? patientBaseDelay : isThrottling(error) ? throttledBaseDelay : baseDelay;
  const backoff = (isWaitedFor ? (1 + chance) / 2 : chance) * Math.min(longestDelay, base * 2 ** (attempt - 1));
  return Math.max(backoff, Math.min(requestedDelay(error), backoff + maxExtraDelay));
}

function isThrottling(error: unknown): boolean {
  return statusOf(error) === 429 || throttlingNames.has((error as Error).name);
}

/** Whether the same request may soon succeed, throttling aside. */
export function isTransient(error: unknown): boolean {
  return isAbsent(error) || transientNames.has((error as Error).name) || statusOf(error) === 500;
}

/** Whether the server may not be there at all, or is only starting. */
function isAbsent(error: unknown): boolean {
  const status = statusOf(error);
  const isOfNetwork = isConnectError(error) || isInterrupted(error);
  return isOfNetwork || status === 503 || isOfGateway(status);
}

/** Milliseconds that the server asked for; 0 if it asked for none. */
function requestedDelay(error: unknown): number {
  const time = secondsIn(headerOf(error, 'retry-after')) * 1000;
  const exact = Number(headerOf(error, 'x-amz-retry-after') ?? NaN);
  return [time, exact].find((found) => found > 0) ?? 0;
}
