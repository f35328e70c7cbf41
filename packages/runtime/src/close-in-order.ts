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
  const deadline = performance.now() + ms;
  const failures: unknown[] = [];
  for (const [index, step] of steps.entries()) {
    const reservedMs = steps.slice(index + 1).reduce((sum, { needsMs = 0 }) => sum + needsMs, 0);
    await withTimeout(deadline - reservedMs - performance.now(), step.close(), ms).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

async function withTimeout(timeoutMs: number, work: Promise<void>, totalMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Not closed within ${totalMs / 1000} s.`)), timeoutMs);
  });
  try {
    await Promise.race([work, timedOut]);
  } finally {
    clearTimeout(timer);
  }
}
