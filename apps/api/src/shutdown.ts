import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { findExchange } from './exchange.ts';
import { allReceived } from './unsent.ts';

/**
 * Stops accepting connections and lets requests in flight finish, and clients receive the answers, for at most `deadlineMs`. Then cuts
 * them, and gives their handlers a moment to undo what they wrote. Handlers whose client has gone get the same time.
 *
 * A proxy sends requests over idle connections until it notices that they are closed, and those on their way fail. Idle connections
 * therefore stay for `idleMs`, default 0, or until the answer to their next request, which tells the proxy that it is the last.
 */
export type Drain = (deadlineMs: number, idleMs?: number) => Promise<void>;

// A client that has begun to send a request when the stop comes may still finish its head.
const headGraceMs = 1_000;
const rollbackMs = 10_000;
const idleCheckMs = 200;
const acceptMs = 250;
const shortTurnMs = 1;

interface Connection {
  /** In the order of their requests. */
  readonly openResponses: ServerResponse[];
  /** Bytes read from the socket at its last answer; whatever came since belongs to a request. */
  bytesReadAtLastAnswer: number | undefined;
}

/**
 * How to stop a server gently. Call it before the server listens, so that it knows every connection: `server.close()` alone waits for
 * idle keep-alive sockets and still serves requests on them. It replaces Node's own `closeIdleConnections()`, which `close()` calls
 * as well and which cuts answers that have been written but not sent yet.
 */
export function drainOf(server: Server): Drain {
  const connections = new Map<Socket, Connection>();
  let unfinished = 0;
  let idleUntil = 0;
  let onLast = (): void => {};
  const onFinished = (): void => {
    unfinished--;
    if (unfinished === 0) onLast();
  };
  const onClosed = (response: ServerResponse): void => {
    const handled = findExchange(response)?.handled;
    if (response.writableFinished || handled === undefined) onFinished();
    else void handled.catch(() => {}).finally(onFinished);
  };
  server.on('connection', (socket: Socket) => {
    const connection: Connection = { openResponses: [], bytesReadAtLastAnswer: undefined };
    connections.set(socket, connection);
    socket.once('close', () => {
      connections.delete(socket);
      // Node 22 emits nothing on responses that wait behind an earlier one.
      for (const response of connection.openResponses.splice(0)) onClosed(response);
    });
  });
  const begin = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    const connection = connections.get(socket);
    if (connection === undefined) return;
    connection.openResponses.push(response);
    unfinished++;
    response.once('close', () => {
      connection.bytesReadAtLastAnswer = socket.bytesRead;
      const index = connection.openResponses.indexOf(response);
      if (index === -1) return; // its connection closed first
      connection.openResponses.splice(index, 1);
      onClosed(response);
    });
  };
  // Requests with an Expect header, such as curl's for large bodies, arrive as their own event if it has a listener.
  for (const event of ['request', 'checkContinue', 'checkExpectation']) if (server.listenerCount(event) > 0) server.on(event, begin);

  server.closeIdleConnections = () => {
    if (performance.now() < idleUntil) return;
    for (const [socket, { openResponses, bytesReadAtLastAnswer }] of connections)
      if (openResponses.length === 0 && bytesReadAtLastAnswer === socket.bytesRead) socket.destroy();
  };

  const closeAll = server.closeAllConnections.bind(server);
  let isForced = false;
  const forcedClose = new Promise<void>((resolve) => {
    server.closeAllConnections = () => {
      isForced = true;
      // The mere end of a connection waits behind what its client has yet to read. A container that ends takes its network along, and such
      // a client would wait in vain.
      for (const [socket, { openResponses }] of connections) if (openResponses.length > 0) socket.resetAndDestroy();
      closeAll();
      resolve();
    };
  });

  return async (deadlineMs, idleMs = 0) => {
    await allAccepted(server, Math.min(acceptMs, deadlineMs));
    const { port } = server.address() as AddressInfo;
    idleUntil = performance.now() + idleMs;
    // Once it has its answer, the client might send its next request just when the connection is closed.
    for (const { openResponses } of connections.values()) if (openResponses.length === 1) openResponses[0]!.shouldKeepAlive = false;
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const graceEnds = performance.now() + headGraceMs;
    const closeIdle = (): void => {
      server.closeIdleConnections();
      if (performance.now() < graceEnds) return;
      for (const [socket, { openResponses }] of connections) if (openResponses.length === 0) socket.destroy();
    };
    // On a busy machine, requests may have arrived and not been read yet: that happens between timers and immediates.
    const idle = setInterval(() => setImmediate(closeIdle), idleCheckMs);
    const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
    await ended;
    clearInterval(idle);
    // The server learns that requests were cut before their handlers do.
    const lastHandled = unfinished === 0 ? Promise.resolve() : new Promise<void>((resolve) => (onLast = resolve));
    await Promise.race([Promise.all([lastHandled, allReceived(port, () => isForced)]), forcedClose]);
    clearTimeout(deadline);
    if (unfinished === 0) return;
    const rollbackTimer = setTimeout(() => onLast(), rollbackMs);
    await lastHandled;
    clearTimeout(rollbackTimer);
  };
}

/**
 * Resolves once a short turn of the event loop brings no connection, or after `maxMs`: in a long one, some may have come since. Closing the
 * server resets connections that the kernel has accepted and Node has not: their clients believe they are connected, and would not dare to
 * repeat what they sent.
 */
async function allAccepted(server: Server, maxMs: number): Promise<void> {
  const deadline = performance.now() + maxMs;
  let hasAccepted = true;
  let turnMs = 0;
  const onConnection = (): void => void (hasAccepted = true);
  server.on('connection', onConnection);
  while ((hasAccepted || turnMs > shortTurnMs) && performance.now() < deadline) {
    hasAccepted = false;
    // The first one may still belong to the current turn.
    for (let turn = 0; turn < 2; turn++) {
      const since = performance.now();
      await new Promise((resolve) => setImmediate(resolve));
      turnMs = performance.now() - since;
    }
  }
  server.off('connection', onConnection);
}

/** Stops a server whose answers nobody waits for. */
export async function closeNow(server: Server): Promise<void> {
  const onClosed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await onClosed;
}
