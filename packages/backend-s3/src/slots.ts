import { onAbort, storageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { Tenants } from './tenants.ts';

/** Who takes slots, and until when it waits. */
export interface Taker extends Pick<CallContext, 'signal' | 'tenant'> {
  /** It has had some before and would have to give up what it has begun, so it waits for the full time, however many tenants there are. */
  readonly isUnderWay?: boolean;
}

interface Waiter {
  readonly amount: number;
  readonly tenant: string;
  readonly isUnderWay: boolean;
  readonly grant: () => void;
}

/** Asks somebody (of this tenant, if one is given) to give back what it does not need for now. @returns whether there was anybody */
type Lend = (tenant: string | undefined) => boolean;

/** Milliseconds between such requests while somebody waits. */
const askingEvery = 50;
/** The share that one tenant leaves to the others. */
const others = 1 / 4;

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
  readonly #brief: number;
  readonly #what: string;
  readonly #tenants: Tenants;
  readonly #lend: Lend | undefined;
  #asking: NodeJS.Timeout | undefined;
  readonly #line: Waiter[] = [];
  readonly #usedBy = new Map<string, { readonly amount: number; readonly lastRelease: number }>();
  #used = 0;
  #lastRelease = 0;

  constructor(options: {
    readonly capacity: number;
    readonly patience: number;
    readonly what: string;
    readonly smallest?: number;
    readonly brief?: number;
    readonly tenants?: Tenants;
    readonly lend?: Lend;
  }) {
    const { capacity, patience, what, smallest = 1, brief = patience, tenants = new Tenants(), lend } = options;
    this.#capacity = capacity;
    this.#share = Math.max(smallest, capacity - Math.max(smallest, Math.floor(capacity * others)));
    this.#patience = patience * 1000;
    this.#brief = Math.min(brief, patience) * 1000;
    this.#what = what;
    this.#tenants = tenants;
    this.#lend = lend;
  }

  /** @returns a function that gives the amount back; calling it again does nothing */
  async take(amount: number, taker: Taker = {}): Promise<() => void> {
    const { signal, tenant = '', isUnderWay = false } = taker;
    const free = this.takeFree(amount, taker);
    if (free !== undefined) return free;
    await this.#wait({ amount, tenant, isUnderWay }, signal);
    return this.#releaseOf(amount, tenant);
  }

  /** Like `take`, for callers who do not wait. @returns undefined if `take` would wait */
  takeFree(amount: number, { signal, tenant = '' }: Taker): (() => void) | undefined {
    signal?.throwIfAborted();
    this.#tenants.meet(tenant);
    const isFirst = this.#line.length === 0 || (this.#next() === undefined && !this.#line.some((waiter) => waiter.tenant === tenant));
    if (!isFirst || !this.#hasRoom(amount) || !this.#isDue(amount, tenant)) return undefined;
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
  #isDue(amount: number, tenant: string): boolean {
    const used = this.#usedBy.get(tenant)?.amount ?? 0;
    return !this.#tenants.areSeveral || used === 0 || used + amount <= this.#share;
  }

  /** In order. A waiter held up by its own tenant lets others pass; one that waits for room does not. */
  #serve(): void {
    for (let next = this.#next(); next !== undefined && this.#hasRoom(next.amount); next = this.#next()) {
      this.#line.splice(this.#line.indexOf(next), 1);
      this.#use(next.amount, next.tenant);
      next.grant();
    }
  }

  /** Nobody passes a waiter of the same tenant; otherwise large requests would wait for ever. */
  #next(): Waiter | undefined {
    const stuck = new Set<string>();
    return this.#line.find(({ amount, tenant }) => {
      if (!stuck.has(tenant) && this.#isDue(amount, tenant)) return true;
      stuck.add(tenant);
      return false;
    });
  }

  #patienceFor({ isUnderWay }: Pick<Waiter, 'isUnderWay'>): number {
    return this.#tenants.areSeveral && !isUnderWay ? this.#brief : this.#patience;
  }

  /** Keeps asking for as long as somebody waits. */
  #ask(lend: Lend): void {
    // Set before anybody gives anything back: a waiter that joins because of it is served by the next round, not at once and not by a
    // second timer.
    this.#asking = setTimeout(() => this.#ask(lend), askingEvery);
    const refused = new Set<string | undefined>();
    for (const waiter of this.#line.slice()) {
      const of = this.#isDue(waiter.amount, waiter.tenant) ? undefined : waiter.tenant;
      if (!refused.has(of) && this.#line.includes(waiter) && !lend(of)) refused.add(of);
    }
    if (this.#line.length > 0) return;
    clearTimeout(this.#asking);
    this.#asking = undefined;
  }

  #wait({ amount, tenant, isUnderWay }: Omit<Waiter, 'grant'>, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const since = performance.now();
      const leave = (reason: Error): void => {
        const place = this.#line.indexOf(waiter);
        if (place < 0) return; // it has been granted
        this.#line.splice(place, 1);
        settle();
        reject(reason);
        this.#serve(); // the next in line may ask for less
      };
      const lookAgain = (): void => {
        // What other tenants give back does not help a waiter held up by its own tenant.
        const last = this.#isDue(amount, tenant) ? this.#lastRelease : (this.#usedBy.get(tenant)?.lastRelease ?? 0);
        const left = this.#patienceFor(waiter) - (performance.now() - Math.max(since, last));
        if (left > 0) timer = setTimeout(lookAgain, left);
        else leave(storageError('storage_unavailable', `All ${this.#what} are in use.`, { retryAfter: 1 }));
      };
      const settle = (): void => {
        clearTimeout(timer);
        stopWaiting();
      };
      const waiter: Waiter = {
        amount,
        tenant,
        isUnderWay,
        grant: () => {
          settle();
          resolve();
        },
      };
      let timer = setTimeout(lookAgain, this.#patienceFor(waiter));
      const stopWaiting = onAbort(signal, () => leave(signal?.reason as Error));
      this.#line.push(waiter);
      if (this.#lend !== undefined && this.#asking === undefined) this.#ask(this.#lend);
    });
  }
}
