import { onAbort, storageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { reclaimInterval } from './slot-holders.ts';
import { Tenants } from './tenants.ts';

/** Who takes slots, and until when it waits. */
export interface Taker extends Pick<CallContext, 'signal' | 'tenant'> {
  /** It has had some before and would have to give up what it has begun, so it waits for the full time, however many tenants there are. */
  readonly isResuming?: boolean;
}

interface Waiter {
  readonly amount: number;
  readonly tenant: string;
  readonly isResuming: boolean;
  readonly grant: () => void;
}

/** Asks somebody (of this tenant, if one is given) to give back what it does not need for now. @returns whether there was anybody */
type Reclaim = (tenant: string | undefined) => boolean;

/** The share that one tenant leaves to the others. */
const reservedShare = 1 / 4;

/**
 * A limit that callers share: bytes of memory, or sockets. When it is used up, callers wait in line; one that waits for `patience` seconds
 * during which nothing is given back gets storage_unavailable. Once there are several tenants, none gets everything: a few slow clients of
 * one tenant must not block those of the others.
 */
export class Slots {
  readonly #capacity: number;
  readonly #share: number;
  readonly #patience: number;
  /** Replaces `patience` while there are several tenants. */
  readonly #multiTenantPatience: number;
  readonly #resource: string;
  readonly #tenants: Tenants;
  readonly #reclaim: Reclaim | undefined;
  #reclaimTimer: NodeJS.Timeout | undefined;
  readonly #queue: Waiter[] = [];
  readonly #usedBy = new Map<string, { readonly amount: number; readonly lastRelease: number }>();
  #used = 0;
  #lastRelease = 0;

  constructor(options: {
    readonly capacity: number;
    readonly patience: number;
    readonly resource: string;
    readonly smallest?: number;
    readonly multiTenantPatience?: number;
    readonly tenants?: Tenants;
    readonly reclaim?: Reclaim;
  }) {
    const { capacity, patience, resource, smallest = 1, multiTenantPatience = patience, tenants = new Tenants(), reclaim } = options;
    this.#capacity = capacity;
    this.#share = Math.max(smallest, capacity - Math.max(smallest, Math.floor(capacity * reservedShare)));
    this.#patience = patience * 1000;
    this.#multiTenantPatience = Math.min(multiTenantPatience, patience) * 1000;
    this.#resource = resource;
    this.#tenants = tenants;
    this.#reclaim = reclaim;
  }

  /** How much one tenant may have at once. */
  get limit(): number {
    return this.#tenants.hasSeveral ? this.#share : this.#capacity;
  }

  /** @returns a function that gives the amount back; calling it again does nothing */
  async take(amount: number, taker: Taker = {}): Promise<() => void> {
    const { signal, tenant = '', isResuming = false } = taker;
    const free = this.takeFree(amount, taker);
    if (free !== undefined) return free;
    await this.#wait({ amount, tenant, isResuming }, signal);
    return this.#releaseOf(amount, tenant);
  }

  /** Like `take`, for callers who do not wait. @returns undefined if `take` would wait */
  takeFree(amount: number, { signal, tenant = '' }: Taker): (() => void) | undefined {
    signal?.throwIfAborted();
    this.#tenants.note(tenant);
    const isFirst = this.#next() === undefined && !this.#queue.some((waiter) => waiter.tenant === tenant);
    if (!isFirst || !this.#hasRoom(amount) || !this.#isWithinShare(amount, tenant)) return undefined;
    this.#use(amount, tenant);
    return this.#releaseOf(amount, tenant);
  }

  #releaseOf(amount: number, tenant: string): () => void {
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      this.#lastRelease = performance.now();
      this.#use(-amount, tenant);
      this.#serve();
    };
  }

  #use(amount: number, tenant: string): void {
    this.#used += amount;
    const used = (this.#usedBy.get(tenant)?.amount ?? 0) + amount;
    if (used === 0) this.#usedBy.delete(tenant);
    else this.#usedBy.set(tenant, { amount: used, lastRelease: this.#lastRelease });
  }

  // A request for more than the capacity is granted once nothing else is in use.
  #hasRoom(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#capacity;
  }

  /** Whether the tenant may have this much more without taking the share of the others. */
  #isWithinShare(amount: number, tenant: string): boolean {
    const used = this.#usedBy.get(tenant)?.amount ?? 0;
    return !this.#tenants.hasSeveral || used === 0 || used + amount <= this.#share;
  }

  /** In order. A waiter held up by its own tenant lets others pass; one that waits for room does not. */
  #serve(): void {
    for (let next = this.#next(); next !== undefined && this.#hasRoom(next.amount); next = this.#next()) {
      this.#queue.splice(this.#queue.indexOf(next), 1);
      this.#use(next.amount, next.tenant);
      next.grant();
    }
  }

  /** Nobody passes a waiter of the same tenant; otherwise large requests would wait for ever. */
  #next(): Waiter | undefined {
    const blocked = new Set<string>();
    return this.#queue.find(({ amount, tenant }) => {
      if (!blocked.has(tenant) && this.#isWithinShare(amount, tenant)) return true;
      blocked.add(tenant);
      return false;
    });
  }

  #patienceFor({ isResuming }: Pick<Waiter, 'isResuming'>): number {
    return this.#tenants.hasSeveral && !isResuming ? this.#multiTenantPatience : this.#patience;
  }

  /** Keeps asking for as long as somebody waits. */
  #keepReclaiming(reclaim: Reclaim): void {
    // Set before anybody gives anything back: a waiter that joins because of it is served by the next round, not at once and not by a
    // second timer.
    this.#reclaimTimer = setTimeout(() => this.#keepReclaiming(reclaim), reclaimInterval);
    const refused = new Set<string | undefined>();
    for (const waiter of this.#queue.slice()) {
      const of = this.#isWithinShare(waiter.amount, waiter.tenant) ? undefined : waiter.tenant;
      if (!refused.has(of) && this.#queue.includes(waiter) && !reclaim(of)) refused.add(of);
    }
    if (this.#queue.length > 0) return;
    clearTimeout(this.#reclaimTimer);
    this.#reclaimTimer = undefined;
  }

  #wait({ amount, tenant, isResuming }: Omit<Waiter, 'grant'>, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (reason: Error): void => {
        this.#queue.splice(this.#queue.indexOf(waiter), 1);
        settle();
        reject(reason);
        this.#serve(); // the next in line may ask for less
      };
      // The first time after waiting for as long, so only what has been given back since counts.
      const checkPatience = (): void => {
        // What other tenants give back does not help a waiter held up by its own tenant.
        const last = this.#isWithinShare(amount, tenant) ? this.#lastRelease : (this.#usedBy.get(tenant)?.lastRelease ?? 0);
        const remaining = this.#patienceFor(waiter) - (performance.now() - last);
        if (remaining > 0) timer = setTimeout(checkPatience, remaining);
        else giveUp(storageError('storage_unavailable', `All ${this.#resource} are in use.`, { retryAfter: 1 }));
      };
      const settle = (): void => {
        clearTimeout(timer);
        stopWaiting();
      };
      const waiter: Waiter = {
        amount,
        tenant,
        isResuming,
        grant: () => {
          settle();
          resolve();
        },
      };
      let timer = setTimeout(checkPatience, this.#patienceFor(waiter));
      const stopWaiting = onAbort(signal, () => giveUp(signal?.reason as Error));
      this.#queue.push(waiter);
      if (this.#reclaim !== undefined && this.#reclaimTimer === undefined) this.#keepReclaiming(this.#reclaim);
    });
  }
}
