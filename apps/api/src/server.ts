import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { getRequestListener } from '@hono/node-server';

import { storageError } from '@coffer/storage-core';
import { closeIfUnread, problemHeaders } from '@coffer/storage-core/http';

import { createApp } from './app.ts';
import { beginExchange, exchangeOf } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { storageOff } from './guard.ts';
import { CompactRequest } from './http/compact-request.ts';
import { applyCors } from './http/cors.ts';
import { hasValidHost } from './http/host.ts';
import { pipelineQueue } from './http/pipeline-queue.ts';
import { closeIfAnsweredEarly, bringsUnreadBody } from './http/early-answer.ts';
import { logRequest } from './observe/request-log.ts';
import { requestMetrics } from './observe/request-metrics.ts';
import { problemText, refuseBody, refuseUnparsed } from './refusal.ts';
import { answerError } from './responses.ts';
import type { Services } from './services.ts';

const headersTimeoutMs = 15_000;
// A load balancer answers 502 when it finds its connection closed. Google's keep theirs open for 600 s, which cannot be configured.
const keepAliveMs = 620_000;
const localPath = '/local/';
const localRoute = '/local/{bucket}/{key}';

/** The HTTP server: what all requests have in common, below the framework. */
export function createApiServer(services: Services): Server {
  const { runtime, log, stopping, registry } = services;
  const { localHttp } = runtime;
  const { corsOrigins, enabled, timeout } = runtime.config.storage;
  const exchangeBySocket = new WeakMap<Socket, Exchange>();
  const framework = frameworkOf(services);
  const pipeline = pipelineQueue();
  const countRequest = requestMetrics(registry);

  const observe = (exchange: Exchange): void => {
    exchange.outgoing.once('close', () => {
      logRequest(log, exchange);
      countRequest(exchange);
    });
  };

  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    pipeline.enqueue(incoming, outgoing, () => begin(incoming, outgoing));
  };

  // Until its turn, a request takes only what Node needs for it. A request whose turn never comes is not logged.
  const begin = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const exchange = beginExchange(incoming, outgoing);
    observe(exchange);
    exchangeBySocket.set(incoming.socket, exchange);
    if (stopping() || hasAmbiguousFraming(incoming)) outgoing.setHeader('connection', 'close');
    if (bringsUnreadBody(incoming)) closeIfAnsweredEarly(incoming, outgoing);
    if (!hasValidHost(incoming)) {
      exchange.handled = answerError(storageError('validation_failed', 'The Host header is malformed.'), incoming, outgoing);
      return;
    }
    const isLocal = exchange.path.startsWith(localPath);
    if (isLocal && !enabled) {
      exchange.handled = answerError(storageOff(), incoming, outgoing);
      return;
    }
    if (isLocal && localHttp !== undefined) {
      exchange.route = localRoute;
      const { requestId, signal } = exchange;
      exchange.handled = localHttp(incoming, outgoing, { requestId, signal });
      return;
    }
    if (applyCors(incoming, outgoing, corsOrigins)) return;
    framework(exchange);
  };

  const server = createServer(
    {
      IncomingMessage: CompactRequest,
      requireHostHeader: false, // refused below, with a problem instead of an empty answer
      requestTimeout: 0, // a large upload may take any time; idle sockets are cut below
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: 5_000,
      keepAliveTimeout: keepAliveMs,
      noDelay: true,
      highWaterMark: 262_144,
    },
    onRequest,
  );
  server.on('checkContinue', (incoming, outgoing) => {
    continueWhenRead(incoming, outgoing);
    onRequest(incoming, outgoing);
  });

  server.on('checkExpectation', (incoming, outgoing) => {
    pipeline.enqueue(incoming, outgoing, () => {
      const exchange = beginExchange(incoming, outgoing);
      observe(exchange);
      const error = storageError('validation_failed', 'The only supported expectation is 100-continue.');
      closeIfUnread(incoming, outgoing);
      outgoing.writeHead(417, problemHeaders(error)).end(problemText(error, 417, exchange.requestId));
    });
  });

  // Nothing moved on a socket for this long: the body has stalled, unless the server is at work. Node itself watches
  // headers and idle keep-alive.
  const busyAtLastTimeout = new WeakSet<Socket>();
  const onIdle = (socket: Socket): void => {
    const current = exchangeBySocket.get(socket);
    const isServerBusy = current !== undefined && isWaitingForServer(current.incoming) && !current.outgoing.headersSent;
    const wasServerBusy = busyAtLastTimeout.delete(socket);
    if (isServerBusy) busyAtLastTimeout.add(socket);
    // Once the server reads again, the client gets the full time anew; if it is gone, the next timeout cuts it.
    if (isServerBusy || wasServerBusy) socket.setTimeout(timeout * 1000);
    else if (current !== undefined && !current.outgoing.headersSent) refuseBody(current, socket, 408, 'The body stopped coming.');
    else socket.destroy();
  };
  server.setTimeout(timeout * 1000, (socket: Socket) => {
    // Timers come first when a process goes on that stood still, as in a paused container: sockets move after them, and before immediates.
    const moved = bytesMoved(socket);
    setImmediate(() => {
      if (!socket.destroyed && bytesMoved(socket) === moved) onIdle(socket);
    });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // While requests wait for their turn, it is the server that does not read the rest of a head.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.isPaused()) return;
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const refuse = (): void => {
      const current = exchangeBySocket.get(socket);
      if (current !== undefined && !current.outgoing.headersSent) {
        refuseBody(current, socket, 400, 'The body is malformed or cut short.');
        return;
      }
      const { status, requestId } = refuseUnparsed(error, socket);
      log.info({ request_id: requestId, status, reason: error.code }, 'no request');
    };
    if (pipeline.deferRefusal(socket, refuse)) return;
    const current = exchangeBySocket.get(socket);
    const isAnswering = current !== undefined && current.outgoing.headersSent && !current.outgoing.writableFinished;
    if (isAnswering) socket.destroy();
    else refuse();
  });
  return server;
}

/** Bytes read, and bytes that the operating system has taken. */
function bytesMoved({ bytesRead, bytesWritten, writableLength }: Socket): number {
  return bytesRead + bytesWritten - writableLength;
}

/** Whether the client need not send: the request is complete, or has bytes that nobody has read yet, as while the storage is slow. */
function isWaitingForServer({ complete, readableLength }: IncomingMessage): boolean {
  return complete || readableLength > 0;
}

function frameworkOf(services: Services): (exchange: Exchange) => void {
  const app = createApp(services);
  const listener = getRequestListener(
    (request, bindings) => {
      const { incoming, outgoing } = bindings as { incoming: IncomingMessage; outgoing: ServerResponse };
      // As a GET: routes answer HEAD themselves, and Node sends no body for it.
      if (incoming.method === 'HEAD') Object.defineProperty(request, 'method', { value: 'GET' });
      const exchange = exchangeOf(outgoing);
      const answer = app.fetch(request, { incoming, outgoing, exchange });
      if (answer instanceof Promise) exchange.handled = answer;
      return answer;
    },
    { overrideGlobalObjects: true },
  );
  return (exchange) => {
    const { incoming, outgoing } = exchange;
    // The exchange has the request line. The framework would build a URL from it and the host, which collapses segments and fails on some.
    incoming.url = '/';
    incoming.headers.host = 'localhost';
    void listener(incoming, outgoing);
  };
}

/**
 * HTTP/1.0 has no chunked encoding. A proxy may have seen the end of the request elsewhere, so that what follows is no request to it:
 * RFC 9112, section 6.1.
 */
function hasAmbiguousFraming({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.0' && headers['transfer-encoding'] !== undefined;
}

/** Asks for the body only once it is being read: a client that is refused before that need not send it. */
function continueWhenRead(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const onListener = (event: string | symbol): void => {
    if (event !== 'data' && event !== 'readable') return;
    incoming.off('newListener', onListener);
    if (!outgoing.headersSent) outgoing.writeContinue();
  };
  incoming.on('newListener', onListener);
}
