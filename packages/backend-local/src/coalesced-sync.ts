/**
 * Group commit: many callers, one `sync` at a time. A caller that arrives during a sync may have written after that sync began, so it
 * waits for the next one, which it shares with everyone who arrived in the meantime.
 */
export class CoalescedSync {
  readonly #sync: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** Resolves once everything that was written before the call is durable. */
  sync(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#startNext(),
      () => this.#startNext(),
    );
    return this.#next;
  }

  #startNext(): Promise<void> {
    this.#next = undefined;
    return this.#start();
  }

  #start(): Promise<void> {
    const run = this.#sync();
    this.#running = run;
    const done = (): void => (this.#running = undefined);
    run.then(done, done); // before whoever waits for this run starts the next
    return run;
  }
}
