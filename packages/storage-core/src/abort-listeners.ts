const waiting: unique symbol = Symbol('waiting');

interface Watched {
  [waiting]?: Listeners;
}

/** All that wait for one signal. */
class Listeners {
  readonly #signal: AbortSignal;
  readonly #all = new Set<() => void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(listener: () => void): void {
    if (this.#signal.aborted) return;
    if (this.#all.size === 0) this.#signal.addEventListener('abort', this.#tell, { once: true });
    this.#all.add(listener);
  }

  delete(listener: () => void): void {
    // A signal that nobody waits for is to be garbage like any other.
    if (this.#all.delete(listener) && this.#all.size === 0) this.#signal.removeEventListener('abort', this.#tell);
  }

  readonly #tell = (): void => {
    // What one of them takes back of others is not called any more.
    for (const listener of this.#all) {
      this.#all.delete(listener);
      listener();
    }
  };
}

/**
 * Calls `listener` when the signal is aborted, once; not when it is already. However many wait for a signal, it has one listener of this: an EventTarget
 * compares each that it gets with all that it has, so that of some hundred requests under way each would pay for the others.
 * @param listener does not throw
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): void {
  if (signal === undefined) return;
  const watched = signal as Watched;
  (watched[waiting] ??= new Listeners(signal)).add(listener);
}

/** The end of `onAbort`; harmless when it was told. */
export function offAbort(signal: AbortSignal | undefined, listener: () => void): void {
  (signal as Watched | undefined)?.[waiting]?.delete(listener);
}
