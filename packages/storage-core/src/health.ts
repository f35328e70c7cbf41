import { untilAborted } from './abort-listeners.ts';
import type { StorageBackend } from './backend.ts';
import { isStorageError } from './errors.ts';
import type { StorageErrorCode } from './errors.ts';

/** The provider's answer to a health check. */
export interface HealthReport {
  readonly healthy: boolean;
  /** The name of the backend, as in metrics. */
  readonly backend: string;
  /** Milliseconds. */
  readonly latencyMs: number;
  /** What is wrong; safe to show. */
  readonly message?: string;
  /** The code of what is wrong: `read_timeout` when nothing answered in time, `internal_error` when the cause is unknown. */
  readonly code?: StorageErrorCode;
}

/** Checks the provider, for at most `seconds`. Never rejects: the report says what is wrong. */
export async function checkHealth(backend: StorageBackend, seconds: number): Promise<HealthReport> {
  const started = performance.now();
  const report = (problem?: Required<Pick<HealthReport, 'code' | 'message'>>): HealthReport => ({
    healthy: problem === undefined,
    backend: backend.name,
    latencyMs: Math.round(performance.now() - started),
    ...problem,
  });
  const timedOut = new Error('late');
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(timedOut), seconds * 1000);
  try {
    await untilAborted(backend.check({ signal: deadline.signal }), deadline.signal);
    return report();
  } catch (error) {
    if (error === timedOut) return report({ code: 'read_timeout', message: `The storage provider did not answer within ${seconds} s.` });
    if (isStorageError(error)) return report({ code: error.code, message: error.message });
    // The message of any other error may contain the provider's own words.
    return report({ code: 'internal_error', message: 'The storage provider failed.' });
  } finally {
    clearTimeout(timer);
  }
}
