import type { Observer } from '@coffer/storage-core';
import type { Logger } from 'pino';

// What a provider does wrong, as opposed to what a caller asks of it.
const failures: ReadonlySet<string | undefined> = new Set([
  'access_denied',
  'connect_timeout',
  'read_timeout',
  'storage_unavailable',
  'internal_error',
]);

/** Writes each storage call at debug level, and those that a provider failed at warn. */
export function logObserver(log: Logger): Observer {
  return {
    operation({ operation, backend, bucket, tenant, requestId, outcome, code, ms, bytes }) {
      // What the local backend denies to readers has no signature, which anybody can try.
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

/** Hands every event to several observers. */
export function allObservers(...observers: readonly Observer[]): Observer {
  return {
    operation: (event) => observers.forEach((observer) => observer.operation?.(event)),
    transfer: (event) => observers.forEach((observer) => observer.transfer?.(event)),
  };
}
