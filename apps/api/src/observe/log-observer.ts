import type { Observer } from '@coffer/storage-core';
import type { Logger } from 'pino';

/** Writes each storage call at debug level, and those that a provider failed at warn. */
export function logObserver(log: Logger): Observer {
  const expected = new Set(['file_not_found', 'precondition_failed', 'range_not_satisfiable', 'aborted', 'no_such_bucket']);
  return {
    operation({ operation, backend, bucket, tenant, requestId, outcome, code, ms, bytes }) {
      const level = outcome === 'error' && !expected.has(code ?? '') ? 'warn' : 'debug';
      if (!log.isLevelEnabled(level)) return;
      log[level]({ operation, backend, bucket, tenant, request_id: requestId, outcome, code, ms: Math.round(ms * 10) / 10, bytes }, 'storage');
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
