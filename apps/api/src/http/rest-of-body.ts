import type { IncomingMessage, ServerResponse } from 'node:http';

import { lingerAtEnd } from '@coffer/storage-core/http';

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/**
 * Ends the connection with an answer that comes before the end of the body. A proxy that keeps it might be left by its client before it
 * has sent the rest, and send somebody else's request in its place, as HAProxy 2.6 does for clients of HTTP/2.
 */
export function endUnlessWhole(incoming: IncomingMessage, outgoing: ServerResponse): void {
  if (incoming.complete || !hasBody(incoming) || outgoing.headersSent) return;
  outgoing.setHeader('connection', 'close');
  lingerAtEnd(incoming);
}
