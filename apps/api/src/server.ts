import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { getRequestListener } from '@hono/node-server';

import { storageError } from '@coffer/storage-core';

import { createApp } from './app.ts';
import { beginExchange, rawPath } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { applyCors } from './http/cors.ts';
import { logRequest } from './observe/request-log.ts';
import { problemHeaders, problemOf, sendProblem } from './problem.ts';
import type { Services } from './services.ts';

const headersTimeoutMs = 15_000;
const keepAliveMs = 65_000; // longer than the usual load balancer's 60 s

/** The HTTP server: what every request has in common, below the framework. */
export function createApiServer(services: Services): Server {
  const { runtime, log, stopping } = services;
  const { corsOrigins, timeout } = runtime.config.storage;
  const app = createApp(services);
  const exchanges = new WeakMap<IncomingMessage, Exchange>();
  const onSocket = new WeakMap<Socket, Exchange>();

  const framework = getRequestListener(
    (request, bindings) => {
      const { incoming, outgoing } = bindings as { incoming: IncomingMessage; outgoing: ServerResponse };
      // As a GET: routes answer HEAD themselves, and Node sends no body to one.
      if (incoming.method === 'HEAD') Object.defineProperty(request, 'method', { value: 'GET' });
      return app.fetch(request, { incoming, outgoing, exchange: exchanges.get(incoming) });
    },
    {
      overrideGlobalObjects: true,
      hostname: 'localhost',
      errorHandler: (thrown) => {
        const error = storageError('validation_failed', 'The request target or the Host header is malformed.', { cause: thrown });
        const problem = problemOf(error, 'none');
        return new Response(JSON.stringify(problem), { status: problem.status, headers: problemHeaders(error) });
      },
    },
  );

  const server = createServer(
    {
      requestTimeout: 0, // a large upload takes as long as it takes; idle sockets are cut below
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: 5_000,
      keepAliveTimeout: keepAliveMs,
      noDelay: true,
      highWaterMark: 262_144,
    },
    (incoming, outgoing) => {
      const exchange = beginExchange(incoming, outgoing);
      exchanges.set(incoming, exchange);
      onSocket.set(incoming.socket, exchange);
      logRequest(log, exchange);
      if (stopping()) outgoing.setHeader('connection', 'close');
      if (rawPath(incoming).startsWith('/local/') && runtime.localHttp !== undefined) {
        runtime.localHttp(incoming, outgoing).then(
          (handled) => handled || framework(incoming, outgoing),
          (error: unknown) => {
            exchange.error = error;
            sendProblem(outgoing, error, exchange.requestId);
          },
        );
        return;
      }
      if (applyCors(incoming, outgoing, corsOrigins)) return;
      void framework(incoming, outgoing);
    },
  );

  // Nothing moved on a socket for this long: a stalled body, unless it is us who are at work. Node itself watches
  // over headers and idle keep-alive.
  server.setTimeout(timeout * 1000, (socket: Socket) => {
    const current = onSocket.get(socket);
    const working = current !== undefined && current.incoming.complete && !current.outgoing.headersSent;
    if (!working) socket.destroy();
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuse(error, socket));
  return server;
}

/** Answers what Node could not parse as a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const status = tooLarge ? '431 Request Header Fields Too Large' : late ? '408 Request Timeout' : '400 Bad Request';
  const detail = tooLarge ? 'The headers are larger than 16 KiB.' : late ? 'The headers did not arrive in time.' : 'That is not an HTTP request.';
  const problem = { ...problemOf(storageError('validation_failed', detail), 'none'), status: Number(status.slice(0, 3)), title: status.slice(4) };
  const body = JSON.stringify(problem);
  socket.end(`HTTP/1.1 ${status}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
}
