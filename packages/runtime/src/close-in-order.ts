export interface ClosingStep {
  close(): Promise<void>;
  /** Milliseconds reserved for this step while earlier ones take their time. Default 0. */
  readonly needsMs?: number;
}

/**
 * Closes the steps one after the other, all within `ms` milliseconds. A step is abandoned if it has not ended when later steps need the
 * remaining time.
 * @throws the first failure, after the last step
 */
export async function closeInOrder(steps: readonly ClosingStep[], ms: number): Promise<void> {
  const until = performance.now() + ms;
  const failures: unknown[] = [];
  for (const [index, step] of steps.entries()) {
    const kept = steps.slice(index + 1).reduce((sum, { needsMs = 0 }) => sum + needsMs, 0);
    await within(until - kept - performance.now(), step.close(), ms).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

async function within(patienceMs: number, work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Not closed within ${ms / 1000} s.`)), patienceMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
