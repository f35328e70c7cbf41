import type { StorageBackend } from './backend.ts';
import { isStorageError } from './errors.ts';

export interface HealthReport {
  readonly healthy: boolean;
  readonly backend: string;
  /** Milliseconds. */
  readonly latencyMs: number;
  /** What is wrong, safe to show. */
  readonly message?: string;
}

/** Asks the provider for at most `seconds`. Never rejects: what is wrong is in the report. */
export async function checkHealth(backend: StorageBackend, seconds: number): Promise<HealthReport> {
  const started = performance.now();
  const report = (message?: string): HealthReport => ({
    healthy: message === undefined,
    backend: backend.name,
    latencyMs: Math.round(performance.now() - started),
    ...(message !== undefined && { message }),
  });
  const late = new Error('late');
  const deadline = new AbortController();
  const expired = new Promise<never>((_resolve, reject) => {
    deadline.signal.addEventListener('abort', () => reject(late), { once: true });
  });
  const timer = setTimeout(() => deadline.abort(late), seconds * 1000);
  try {
    await Promise.race([backend.check({ signal: deadline.signal }), expired]);
    return report();
  } catch (error) {
    if (error === late) return report(`The storage provider did not answer within ${seconds} s.`);
    // The message of any other error may hold what the provider said.
    return report(isStorageError(error) ? error.message : 'The storage provider failed.');
  } finally {
    clearTimeout(timer);
  }
}
