import type { Logger } from 'pino';

import { toStorageError } from '@coffer/storage-core/http';

import { statusOf } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';

// Paths polled every few seconds, which are not worth logging while they succeed.
const quietPaths = new Set(['/health/live', '/health/ready', '/metrics']);

/** Logs one line for a finished request. Never logs its query, which may be signed, nor any header. */
export function logRequest(log: Logger, exchange: Exchange): void {
  const { incoming, outgoing, requestId, startedAt, path } = exchange;
  const failure = exchange.error === undefined ? undefined : toStorageError(exchange.error);
  const status = statusOf(exchange);
  const isBug = failure?.code === 'internal_error';
  // What the backend lacks, or the configuration leaves out, is no failure.
  const isLack = status === 501 || failure?.code === 'storage_not_configured';
  const isOurs = isBug || ((status ?? 0) >= 500 && !isLack);
  const isQuiet = quietPaths.has(path) && (status ?? 0) < 400;
  const level = isBug ? 'error' : isOurs ? 'warn' : isQuiet ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  log[level](
    {
      request_id: requestId,
      method: incoming.method,
      path,
      operation: exchange.operation,
      ...(status !== undefined && { status }),
      ms: Math.round((performance.now() - startedAt) * 10) / 10,
      subject: exchange.subject,
      tenant: exchange.tenant,
      code: failure?.code,
      ...(!outgoing.writableFinished && { aborted: true }),
      ...(failure !== undefined && isOurs && { err: failure.cause ?? failure }),
    },
    'request',
  );
}
