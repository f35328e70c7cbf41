import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { exchangeBegunOn } from './exchange.ts';

/**
 * Stops accepting connections and lets requests in flight finish, for at most `deadlineMs`. Then cuts them, and gives their handlers a
 * moment to undo what they wrote. Handlers whose client has gone get the same time.
 */
export type Drain = (deadlineMs: number) => Promise<void>;

// A client that has begun to send a request when the stop comes may still finish its head.
const headGraceMs = 1_000;
const takingBackMs = 10_000;
const everyMs = 200;
const acceptingMs = 250;

interface Connection {
  /** In the order of their requests. */
  readonly underWay: ServerResponse[];
  /** Bytes read from the socket at its last answer; whatever came since belongs to a request. */
  readByThen: number | undefined;
}

/**
 * How to stop a server gently. Call it before the server listens, so that it knows every connection: `server.close()` alone waits for
 * idle keep-alive sockets and still serves requests on them. It replaces Node's own `closeIdleConnections()`, which `close()` calls
 * as well and which cuts answers that have been written but not sent yet.
 */
export function drainOf(server: Server): Drain {
  const connections = new Map<Socket, Connection>();
  let unfinished = 0;
  let onLast = (): void => {};
  const finished = (): void => {
    unfinished--;
    if (unfinished === 0) onLast();
  };
  const closed = (response: ServerResponse): void => {
    const handled = exchangeBegunOn(response)?.handled;
    if (response.writableFinished || handled === undefined) finished();
    else void handled.catch(() => {}).finally(finished);
  };
  server.on('connection', (socket: Socket) => {
    const connection: Connection = { underWay: [], readByThen: undefined };
    connections.set(socket, connection);
    socket.once('close', () => {
      connections.delete(socket);
      // Node 22 emits nothing on responses that wait behind an earlier one.
      for (const response of connection.underWay.splice(0)) closed(response);
    });
  });
  const begin = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    const connection = connections.get(socket);
    if (connection === undefined) return;
    connection.underWay.push(response);
    unfinished++;
    response.once('close', () => {
      connection.readByThen = socket.bytesRead;
      const place = connection.underWay.indexOf(response);
      if (place === -1) return; // its connection closed first
      connection.underWay.splice(place, 1);
      closed(response);
    });
  };
  // Requests with an Expect header, such as curl's for large bodies, arrive as their own event if it has a listener.
  for (const event of ['request', 'checkContinue', 'checkExpectation']) if (server.listenerCount(event) > 0) server.on(event, begin);

  server.closeIdleConnections = () => {
    for (const [socket, { underWay, readByThen }] of connections)
      if (underWay.length === 0 && readByThen === socket.bytesRead) socket.destroy();
  };

  const cutAll = server.closeAllConnections.bind(server);
  const cut = new Promise<void>((resolve) => {
    server.closeAllConnections = () => {
      cutAll();
      resolve();
    };
  });

  return async (deadlineMs) => {
    await allAccepted(server, Math.min(acceptingMs, deadlineMs));
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const graceEnds = Date.now() + headGraceMs;
    const idle = setInterval(() => {
      server.closeIdleConnections();
      if (Date.now() < graceEnds) return;
      for (const [socket, { underWay }] of connections) if (underWay.length === 0) socket.destroy();
    }, everyMs);
    const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
    await ended;
    clearInterval(idle);
    // The server learns that requests were cut before their handlers do.
    const last = unfinished === 0 ? undefined : new Promise<void>((resolve) => (onLast = resolve));
    await (last && Promise.race([last, cut]));
    clearTimeout(deadline);
    if (unfinished === 0) return;
    const patience = setTimeout(() => onLast(), takingBackMs);
    await last;
    clearTimeout(patience);
  };
}

/**
 * Resolves once a turn of the event loop brings no connection, or after `mostMs`. Closing the server resets connections that the kernel
 * has accepted and Node has not: their clients believe they are connected, and would not dare to repeat what they sent.
 */
async function allAccepted(server: Server, mostMs: number): Promise<void> {
  const until = Date.now() + mostMs;
  let came = true;
  const onConnection = (): void => void (came = true);
  server.on('connection', onConnection);
  while (came && Date.now() < until) {
    came = false;
    // The first one may still belong to the current turn.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  server.off('connection', onConnection);
}

/** Stops a server whose answers nobody waits for. */
export async function closeNow(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
