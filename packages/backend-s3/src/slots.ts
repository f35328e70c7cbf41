import { offAbort, onAbort, storageError } from '@coffer/storage-core';

interface Waiter {
  readonly amount: number;
  readonly grant: () => void;
}

/**
 * A bound that callers share: bytes of memory, or sockets. Who finds it used up waits in line; who waits while nothing at
 * all is given back for `patience` seconds gets storage_unavailable.
 */
export class Slots {
  readonly #capacity: number;
  readonly #patience: number;
  readonly #what: string;
  readonly #line: Waiter[] = [];
  #used = 0;
  #lastRelease = 0;

  constructor(options: { readonly capacity: number; readonly patience: number; readonly what: string }) {
    this.#capacity = options.capacity;
    this.#patience = options.patience * 1000;
    this.#what = options.what;
  }

  /** @returns what gives them back; calling it again does nothing */
  async take(amount: number, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#line.length > 0 || !this.#fits(amount)) await this.#wait(amount, signal);
    else this.#used += amount;
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      this.#used -= amount;
      this.#lastRelease = performance.now();
      this.#serve();
    };
  }

  // More than there is at all is given to one who is alone.
  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#capacity;
  }

  #serve(): void {
    for (let [first] = this.#line; first !== undefined && this.#fits(first.amount); [first] = this.#line) {
      this.#line.shift();
      this.#used += first.amount;
      first.grant();
    }
  }

  #wait(amount: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const since = performance.now();
      const leave = (reason: Error): void => {
        const place = this.#line.indexOf(waiter);
        if (place < 0) return; // it has been granted
        this.#line.splice(place, 1);
        settle();
        reject(reason);
        this.#serve(); // who comes next may ask for less
      };
      const abort = (): void => leave(signal?.reason as Error);
      const lookAgain = (): void => {
        const left = this.#patience - (performance.now() - Math.max(since, this.#lastRelease));
        if (left > 0) timer = setTimeout(lookAgain, left);
        else leave(storageError('storage_unavailable', `All ${this.#what} are in use.`, { retryAfter: 1 }));
      };
      const settle = (): void => {
        clearTimeout(timer);
        offAbort(signal, abort);
      };
      const waiter: Waiter = {
        amount,
        grant: () => {
          settle();
          resolve();
        },
      };
      let timer = setTimeout(lookAgain, this.#patience);
      onAbort(signal, abort);
      this.#line.push(waiter);
    });
  }
}
