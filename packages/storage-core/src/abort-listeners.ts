const waiting: unique symbol = Symbol('waiting');

interface Watched {
  [waiting]?: Listeners;
}

interface Link {
  before: Link;
  after: Link;
}

interface Waiting extends Link {
  readonly listener: () => void;
}

/** All that wait for one signal, which may be that of a whole process: a ring, of which nothing is left of who has gone (see `InFlight`). */
class Listeners {
  readonly #signal: AbortSignal;
  readonly #ring = {} as Link;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#ring.before = this.#ring.after = this.#ring;
  }

  add(listener: () => void): () => void {
    if (this.#signal.aborted) return () => {};
    const ring = this.#ring;
    if (ring.after === ring) this.#signal.addEventListener('abort', this.#tell, { once: true });
    const own: Waiting = { listener, before: ring.before, after: ring };
    own.before.after = own;
    ring.before = own;
    return () => {
      if (!unlink(own)) return;
      // A signal that nobody waits for is to be garbage like any other.
      if (ring.after === ring) this.#signal.removeEventListener('abort', this.#tell);
    };
  }

  readonly #tell = (): void => {
    // What one of them takes back of others is not called any more.
    for (let next = this.#ring.after; next !== this.#ring; next = this.#ring.after) {
      unlink(next);
      (next as Waiting).listener();
    }
  };
}

/** @returns false when it was out already */
function unlink(link: Link): boolean {
  if (link.after === link) return false;
  link.before.after = link.after;
  link.after.before = link.before;
  link.before = link.after = link;
  return true;
}

/**
 * Calls `listener` when the signal is aborted, once; not when it is already. However many wait for a signal, it has one listener of this: an EventTarget
 * compares each that it gets with all that it has, so that of some hundred requests under way each would pay for the others.
 * @param listener does not throw
 * @returns what ends that; harmless when it was told, and a second time
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => {};
  const watched = signal as Watched;
  return (watched[waiting] ??= new Listeners(signal)).add(listener);
}

/** Waits for work no longer than the signal lets, whether or not that ends the work as well. @throws the signal's reason */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  work.then(resolve, reject);
  if (signal.aborted) reject(signal.reason as Error);
  const stopWaiting = onAbort(signal, () => reject(signal.reason as Error));
  try {
    return await promise;
  } finally {
    stopWaiting();
  }
}
