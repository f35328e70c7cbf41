import { setTimeout as delay } from 'node:timers/promises';

import type { DefaultRateLimiter } from '@smithy/core/retry';

import { unlessAborted } from './concurrency.ts';
import { isBroken } from './http/socket-errors.ts';
import { isUnreached } from './network-errors.ts';
import { headerOf, secondsIn, statusOf } from './provider-error.ts';
import type { Settings } from './settings.ts';

/* The policy of the AWS SDK, with its numbers. */
const baseDelay = 50;
const throttledBaseDelay = 1000;
const longestDelay = 20_000;
/** How much longer than the backoff a server may make us wait. */
const mostExtraDelay = 5000;
const fullCapacity = 500;
const cost = 14;
const throttledCost = 5;
/* Ours, for a server that is restarted: with three retries, 3.5 to 7 seconds. */
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
const transientNames: ReadonlySet<string> = new Set(['RequestTimeout', 'RequestTimeoutException', 'TimeoutError']);
/** What a server that starts, or a proxy before one that does not run, answers. */
const absentStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

/** How often, and when, requests that failed are made again. A server that fails all the time gets few of them. */
export class RetryPolicy {
  readonly #attempts: number;
  readonly #isPaced: boolean;
  readonly #isPatient: boolean;
  #limiter: DefaultRateLimiter | undefined;
  #capacity = fullCapacity;
  /** Whether the server has answered, and not been waited for in vain since. */
  #isExpected = false;

  constructor({ maxRetries, retryMode, patient }: Pick<Settings, 'maxRetries' | 'retryMode' | 'patient'>) {
    this.#attempts = maxRetries + 1;
    this.#isPaced = retryMode === 'adaptive';
    this.#isPatient = patient;
  }

  /** Before an attempt. Only where the mode is `adaptive` there is something to wait for: what the server can take. */
  pace(signal: AbortSignal | undefined): Promise<void> | undefined {
    return this.#isPaced ? this.#turn(signal) : undefined;
  }

  /** @param price what the last retry took, if there was one */
  succeeded(price = 1): void {
    this.#limiter?.updateClientSendingRate({});
    this.#isExpected = true;
    this.#capacity = Math.min(fullCapacity, this.#capacity + price);
  }

  /**
   * Waits until the next attempt is due. @throws `error` when there is none
   * @returns what `succeeded` gives back
   */
  async again(error: unknown, attempt: number, signal: AbortSignal | undefined): Promise<number> {
    const isThrottled = isThrottling(error);
    this.#limiter?.updateClientSendingRate({ errorType: isThrottled ? 'THROTTLING' : 'TRANSIENT' });
    const isWaitedFor = this.#isPatient && this.#isExpected && !isThrottled && isAbsent(error);
    // All who wait for the same server would use up what is there for one that fails now and then.
    const price = isWaitedFor ? 0 : isThrottled ? throttledCost : cost;
    if (attempt >= this.#attempts || this.#capacity < price || !(isThrottled || isTransient(error))) {
      if (isWaitedFor) this.#isExpected = false;
      throw error;
    }
    this.#capacity -= price;
    await delay(delayAfter(error, attempt, Math.random(), isWaitedFor), undefined, signal && { signal });
    return price;
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#limiter === undefined) {
      const { DefaultRateLimiter: Limiter } = await import('./rate-limiter.ts');
      this.#limiter ??= new Limiter();
    }
    await unlessAborted(this.#limiter.getSendToken(), signal);
  }
}

/**
 * Milliseconds.
 * @param chance from 0 to 1, so that not all come again at once
 * @param isWaitedFor the server is expected to come back, which no luck with `chance` makes sooner
 */
export function delayAfter(error: unknown, attempt: number, chance: number, isWaitedFor = false): number {
  const base = isWaitedFor ? patientBaseDelay : isThrottling(error) ? throttledBaseDelay : baseDelay;
  const backoff = (isWaitedFor ? (1 + chance) / 2 : chance) * Math.min(longestDelay, base * 2 ** (attempt - 1));
  return Math.max(backoff, Math.min(askedDelay(error), backoff + mostExtraDelay));
}

function isThrottling(error: unknown): boolean {
  return statusOf(error) === 429 || throttlingNames.has((error as Error).name);
}

function isTransient(error: unknown): boolean {
  return isAbsent(error) || transientNames.has((error as Error).name) || statusOf(error) === 500;
}

/** Whether it may be that the server is not there at all. */
function isAbsent(error: unknown): boolean {
  const isOfNetwork = isUnreached(error) || isBroken(error) || (error as NodeJS.ErrnoException).code === 'ETIMEDOUT';
  return isOfNetwork || absentStatuses.has(statusOf(error) ?? 0);
}

/** Milliseconds. */
function askedDelay(error: unknown): number {
  const time = secondsIn(headerOf(error, 'retry-after')) * 1000;
  const exact = Number(headerOf(error, 'x-amz-retry-after') ?? NaN);
  return [time, exact].find((found) => found > 0) ?? 0;
}
