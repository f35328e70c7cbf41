import { untilAborted } from './abort-listeners.ts';
import type { StorageBackend } from './backend.ts';
import { isStorageError } from './errors.ts';
import type { StorageErrorCode } from './errors.ts';

/** How a provider answered a health check. */
export interface HealthReport {
  readonly healthy: boolean;
  /** The name of the backend, as in metrics. */
  readonly backend: string;
  /** Milliseconds. */
  readonly latencyMs: number;
  /** What is wrong, safe to show. */
  readonly message?: string;
  /** Of what is wrong: `read_timeout` where nothing answered in time, `internal_error` where nobody knows. */
  readonly code?: StorageErrorCode;
}

/** Asks the provider for at most `seconds`. Never rejects: what is wrong is in the report. */
export async function checkHealth(backend: StorageBackend, seconds: number): Promise<HealthReport> {
  const started = performance.now();
  const report = (wrong?: Required<Pick<HealthReport, 'code' | 'message'>>): HealthReport => ({
    healthy: wrong === undefined,
    backend: backend.name,
    latencyMs: Math.round(performance.now() - started),
    ...wrong,
  });
  const late = new Error('late');
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(late), seconds * 1000);
  try {
    await untilAborted(backend.check({ signal: deadline.signal }), deadline.signal);
    return report();
  } catch (error) {
    if (error === late) return report({ code: 'read_timeout', message: `The storage provider did not answer within ${seconds} s.` });
    if (isStorageError(error)) return report({ code: error.code, message: error.message });
    // The message of any other error may hold what the provider said.
    return report({ code: 'internal_error', message: 'The storage provider failed.' });
  } finally {
    clearTimeout(timer);
  }
}
