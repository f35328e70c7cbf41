/**
 * Runs `work` on all items, at most `limit` at a time, starting in order. After a failure no new work starts, and this rejects only when
 * the running work has ended, so that nothing is still going on when the caller cleans up.
 * @param limit asked before each item if it is a function; it may fall, to no less than one
 */
export async function inParallel<T, R>(items: readonly T[], limit: number | (() => number), work: (item: T) => Promise<R>): Promise<R[]> {
  const most = typeof limit === 'number' ? () => limit : limit;
  let running = 0;
  const results: R[] = [];
  const failures: unknown[] = [];
  const entries = items.entries();
  const lane = async (): Promise<void> => {
    try {
      for (const [index, item] of entries) {
        if (failures.length > 0) return;
        running++;
        results[index] = await work(item);
        if (--running >= most()) return;
      }
    } catch (error) {
      failures.push(error);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most(), items.length) }, lane));
  if (failures.length > 0) throw failures[0];
  return results;
}

/** Like Promise.all, but rejects only when all work has ended. */
export async function allEnded<const T extends readonly unknown[]>(work: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Like `allEnded`, with a name for each result. */
export async function allNamed<T extends object>(work: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const results = await allEnded(Object.values(work));
  return Object.fromEntries(Object.keys(work).map((name, index) => [name, results[index]])) as { [K in keyof T]: Awaited<T[K]> };
}
