/**
 * `work` over all items, at most `limit` at a time, in order. Where some of it fails, no more begins, and what is under way ends before
 * this rejects: nothing goes on behind the back of who cleans up.
 */
export async function inParallel<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const failures: unknown[] = [];
  const entries = items.entries();
  const lane = async (): Promise<void> => {
    try {
      for (const [index, item] of entries) {
        if (failures.length > 0) return;
        results[index] = await work(item);
      }
    } catch (error) {
      failures.push(error);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  if (failures.length > 0) throw failures[0];
  return results;
}

/** As Promise.all, but nothing is under way any more when this rejects. */
export async function allEnded<const T extends readonly unknown[]>(work: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** What is waited for goes on without whoever gives up. @throws the signal's reason */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  // Also of one that nobody waits for any more, a failure has to be taken by somebody.
  return Promise.race([aborted.promise, work]).finally(() => signal.removeEventListener('abort', abort));
}
