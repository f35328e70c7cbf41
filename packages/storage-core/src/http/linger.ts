import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { hasBody } from './request-body.ts';

const lingerMs = 2000;

/**
 * Lets a client that is still sending read its response: closing at once would reset the connection. A client that goes on for long is cut
 * off. Firefox and WebKit read no response before they have sent everything, so it is all read until then.
 */
export function lingerOver(incoming: IncomingMessage): void {
  if (incoming.complete || incoming.destroyed) return;
  const timer = setTimeout(() => incoming.destroy(), lingerMs);
  incoming.once('close', () => clearTimeout(timer));
  incoming.on('error', () => {}); // the client may leave at any time
  incoming.resume();
}

/** What closes a connection that stays open after all; it refers to none of the earlier requests. */
const originalCloses = new WeakMap<Socket, () => void>();

/**
 * As `lingerOver`, for a connection that ends with the response, which Node would close at once. Call it before the response ends. A
 * request that has been read whole by then is not waited for.
 */
export function lingerAtEnd(incoming: IncomingMessage): void {
  const { socket } = incoming;
  const close = originalCloses.get(socket) ?? socket.destroySoon.bind(socket);
  originalCloses.set(socket, close);
  const closeAtEnd = (): void => {
    if (incoming.complete || incoming.destroyed) return close();
    incoming.once('close', close);
    socket.end();
    lingerOver(incoming);
  };
  socket.destroySoon = closeAtEnd;
}

/**
 * Closes the connection after an answer that comes before the end of the body; a form has been read at its last boundary, but more bytes may
 * be announced after it. A proxy that keeps the connection might lose its client before the rest is sent, and send another client's request
 * in its place, as HAProxy 2.6 does for HTTP/2 clients.
 */
export function closeIfUnread(incoming: IncomingMessage, outgoing: ServerResponse): void {
  if (incoming.complete || !hasBody(incoming) || outgoing.headersSent) return;
  outgoing.setHeader('connection', 'close');
  lingerAtEnd(incoming);
}
