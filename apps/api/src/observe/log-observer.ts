import type { Observer } from '@coffer/storage-core';
import type { Logger } from 'pino';

// Failures of the provider, as opposed to mistakes of the caller.
const failures: ReadonlySet<string | undefined> = new Set([
  'access_denied',
  'connect_timeout',
  'read_timeout',
  'storage_unavailable',
  'internal_error',
]);

/** Logs each storage call at debug level, and calls that failed because of the provider at warn. */
export function logObserver(log: Logger): Observer {
  return {
    operation({ operation, backend, bucket, tenant, requestId, outcome, code, ms, bytes }) {
      // The local backend denies reads without a signature, which anybody can try.
      const isRead = operation === 'download' || operation === 'head';
      const expected = !failures.has(code) || (code === 'access_denied' && backend === 'local' && isRead);
      const level = outcome === 'error' && !expected ? 'warn' : 'debug';
      if (!log.isLevelEnabled(level)) return;
      log[level](
        { operation, backend, bucket, tenant, request_id: requestId, outcome, code, ms: Math.round(ms * 10) / 10, bytes },
        'storage',
      );
    },
  };
}

/** Passes every event to several observers. */
export function allObservers(...observers: readonly Observer[]): Observer {
  return {
    operation: (event) => observers.forEach((observer) => observer.operation?.(event)),
    transfer: (event) => observers.forEach((observer) => observer.transfer?.(event)),
  };
}
