import type { IncomingMessage, ServerResponse } from 'node:http';

import { contentLength, lingerAtEnd } from '@coffer/storage-core/http';

export function hasBody(incoming: IncomingMessage): boolean {
  return incoming.headers['transfer-encoding'] !== undefined || (contentLength(incoming) ?? 0) > 0;
}

/**
 * Closes the connection after an answer that comes before the end of the body. A proxy that keeps the connection might lose its client
 * before the rest is sent, and send another client's request in its place, as HAProxy 2.6 does for HTTP/2 clients.
 */
export function closeIfUnread(incoming: IncomingMessage, outgoing: ServerResponse): void {
  if (incoming.complete || !hasBody(incoming) || outgoing.headersSent) return;
  outgoing.setHeader('connection', 'close');
  lingerAtEnd(incoming);
}
