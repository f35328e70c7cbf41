import { canonicalTenantUuid, onAbort } from '@coffer/storage-core';

/** Milliseconds: the first pause, the longest pause, and all pauses together. */
const firstPause = 25;
const longestPause = 400;
const totalWait = 3000;

/**
 * Uploads that wait for space that another one may give back. Space freed by this process wakes them at once; space freed by another
 * process is seen at the end of a pause.
 */
export class QuotaWaiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Wakes the waiting uploads of a tenant: space may have become free. */
  wake(tenantUuid: string | null | undefined): void {
    if (tenantUuid === null || tenantUuid === undefined) return;
    for (const wake of this.#waiting.get(canonicalTenantUuid(tenantUuid)) ?? []) wake();
  }

  /** How long one upload may wait, for all its waits together. */
  budgetFor(tenantUuid: string): WaitBudget {
    return new WaitBudget((milliseconds, signal) => this.#sleep(tenantUuid, milliseconds, signal));
  }

  async #sleep(tenantUuid: string, milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const waiting = this.#waiting.get(tenantUuid) ?? new Set();
    this.#waiting.set(tenantUuid, waiting);
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    const timer = setTimeout(wake, milliseconds);
    waiting.add(wake);
    const stopWaiting = onAbort(signal, wake);
    await promise;
    clearTimeout(timer);
    stopWaiting();
    waiting.delete(wake);
    if (waiting.size === 0) this.#waiting.delete(tenantUuid);
    signal?.throwIfAborted();
  }
}

type Sleep = (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;

/** How long one upload may still wait. */
export class WaitBudget {
  readonly #sleep: Sleep;
  #pause = firstPause;
  #remaining = totalWait;

  constructor(sleep: Sleep) {
    this.#sleep = sleep;
  }

  /** Waits a little. @returns false, at once, when the upload has waited long enough. @throws the signal's reason */
  async wait(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#remaining <= 0) return false;
    const startedAt = performance.now();
    const pause = Math.min(this.#pause, this.#remaining);
    await this.#sleep(pause, signal);
    const slept = performance.now() - startedAt;
    this.#remaining -= slept;
    if (slept >= pause - 1) this.#pause = Math.min(this.#pause * 2, longestPause);
    return true;
  }
}
