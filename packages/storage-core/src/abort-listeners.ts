const listenersKey: unique symbol = Symbol('listeners');

interface SignalWithListeners {
  [listenersKey]?: Listeners;
}

interface Link {
  previous: Link;
  next: Link;
}

interface ListenerLink extends Link {
  readonly listener: () => void;
}

/**
 * All listeners waiting for one signal, which may live as long as the process: a ring that keeps nothing of those that left (see
 * `InFlight`).
 */
class Listeners {
  readonly #signal: AbortSignal;
  readonly #ring = {} as Link;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#ring.previous = this.#ring.next = this.#ring;
  }

  add(listener: () => void): () => void {
    if (this.#signal.aborted) return () => {};
    const ring = this.#ring;
    if (ring.next === ring) this.#signal.addEventListener('abort', this.#notifyAll, { once: true });
    const link: ListenerLink = { listener, previous: ring.previous, next: ring };
    link.previous.next = link;
    ring.previous = link;
    return () => {
      unlink(link);
      // A signal that nobody waits for must be as collectable as any other.
      if (ring.next === ring) this.#signal.removeEventListener('abort', this.#notifyAll);
    };
  }

  readonly #notifyAll = (): void => {
    // A listener may remove others, which are then not called.
    for (let next = this.#ring.next; next !== this.#ring; next = this.#ring.next) {
      unlink(next);
      (next as ListenerLink).listener();
    }
  };
}

/** Does nothing to a link that was already unlinked. */
function unlink(link: Link): void {
  link.previous.next = link.next;
  link.next.previous = link.previous;
  link.previous = link.next = link;
}

/**
 * Calls `listener` once when the signal is aborted; never if it already is. However many callers wait for a signal, it gets one event
 * listener from here: an EventTarget compares each new listener with all it has, so with hundreds of requests in flight each would pay for
 * the others.
 * @param listener must not throw
 * @returns a function that stops waiting; harmless after `listener` was called, and when called twice
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => {};
  const watched = signal as SignalWithListeners;
  return (watched[listenersKey] ??= new Listeners(signal)).add(listener);
}

/** Waits for `work` until the signal is aborted, whether or not that ends the work as well. @throws the signal's reason */
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
