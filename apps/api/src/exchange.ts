import type { IncomingMessage, ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';

/** One request and what is known of it while it is under way. Lives on Node's own objects, below any framework. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly requestId: string;
  readonly startedAt: number;
  /** Aborted when the client goes away before it was answered. */
  readonly signal: AbortSignal;
  /** For the log line. */
  subject?: string;
  tenant?: string;
  error?: unknown;
}

const safeRequestId = /^[A-Za-z0-9._:@/+=-]{1,128}$/;

export function beginExchange(incoming: IncomingMessage, outgoing: ServerResponse): Exchange {
  const offered = incoming.headers['x-request-id'];
  const requestId = typeof offered === 'string' && safeRequestId.test(offered) ? offered : randomUUID();
  const controller = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) controller.abort(new Error('The client went away.'));
  });
  outgoing.setHeader('x-request-id', requestId);
  return { incoming, outgoing, requestId, startedAt: performance.now(), signal: controller.signal };
}

/** The path as it stands in the request line: nothing decoded, nothing collapsed. */
export function rawPath(incoming: IncomingMessage): string {
  const target = incoming.url ?? '/';
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  if (path.startsWith('/')) return path;
  // Absolute form, as a proxy sends it: RFC 9112, section 3.2.2.
  const absolute = /^https?:\/\/[^/]*(\/.*)?$/i.exec(path);
  return absolute === null ? path : (absolute[1] ?? '/');
}
