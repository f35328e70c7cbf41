import type { Logger } from 'pino';

import { rawPath } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';
import { toStorageError } from '../problem.ts';

// Paths that are asked every few seconds and say nothing while they succeed.
const quiet = new Set(['/health/live', '/health/ready', '/metrics']);

/** One line per request: never its query, which may be signed, nor any header. */
export function logRequest(log: Logger, exchange: Exchange): void {
  const { incoming, outgoing, requestId, startedAt } = exchange;
  outgoing.once('close', () => {
    const path = rawPath(incoming);
    const failure = exchange.error === undefined ? undefined : toStorageError(exchange.error);
    const ours = failure?.code === 'internal_error' && outgoing.writableFinished;
    const level = ours ? 'error' : quiet.has(path) && outgoing.statusCode < 400 ? 'debug' : 'info';
    if (!log.isLevelEnabled(level)) return;
    log[level](
      {
        request_id: requestId,
        method: incoming.method,
        path,
        ...(outgoing.headersSent && { status: outgoing.statusCode }),
        ms: Math.round((performance.now() - startedAt) * 10) / 10,
        subject: exchange.subject,
        tenant: exchange.tenant,
        code: failure?.code,
        ...(!outgoing.writableFinished && { aborted: true }),
        ...(failure !== undefined && outgoing.statusCode >= 500 && { err: failure.cause ?? failure }),
      },
      'request',
    );
  });
}
