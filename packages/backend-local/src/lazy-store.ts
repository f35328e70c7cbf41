import { InFlight, storageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { openStore } from './store.ts';
import type { Store } from './store.ts';

/** Runs `work` on the open storage. @throws storage_unavailable once it is closed, and whatever opening it throws */
export type Using = <T>(ctx: CallContext, work: (store: Store) => Promise<T>) => Promise<T>;

/** Opens a storage directory on first use. `close()` waits for the last use to end, then closes it. */
export class LazyStore {
  readonly #root: string;
  readonly #running = new InFlight<Promise<unknown>>();
  #opening: Promise<Store> | undefined;
  #closed = false;

  constructor(root: string) {
    this.#root = root;
  }

  readonly using: Using = async (ctx, work) => {
    ctx.signal?.throwIfAborted();
    if (this.#closed) throw storageError('storage_unavailable', 'The storage is closed.', { retryable: false });
    const run = this.#open().then(work);
    const finish = this.#running.add(run);
    try {
      return await run;
    } finally {
      finish();
    }
  };

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running.values());
    const opening = this.#opening;
    this.#opening = undefined;
    const store = await opening?.catch(() => undefined); // if opening failed, there is nothing to close
    await store?.close();
  }

  #open(): Promise<Store> {
    if (this.#opening === undefined) {
      const opening = openStore(this.#root);
      this.#opening = opening;
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined; // the next call tries again
      });
    }
    return this.#opening;
  }
}
