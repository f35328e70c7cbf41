import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

import { isStorageError, storageError } from '@coffer/storage-core';
import { sendProblem } from '@coffer/storage-core/http';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';

import { beginExchange } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { refuseUnparsed } from './refusal.ts';
import { authErrors, problems } from './responses.ts';
import type { Router } from './router.ts';
import type { Services } from './services.ts';
import type { Access } from './guard.ts';

const access: Access = { role: 'admin', needsStorage: false };

/** `GET /metrics` on the API port: admins only, since it names tenants. */
export function metricsRoute(router: Router, services: Services): void {
  router.add({
    method: 'get',
    path: '/metrics',
    operationId: 'metrics',
    summary: 'Metrics in the Prometheus text format',
    access,
    tags: ['Operations'],
    responses: {
      200: { description: 'All metrics', content: { 'text/plain': { schema: { type: 'string' } } } },
      ...problems(...authErrors),
    },
    handler: async (c) =>
      c.body(await services.registry.metrics(), 200, { 'content-type': services.registry.contentType, 'cache-control': 'no-store' }),
  });
}

/** The server on METRICS_PORT: metrics and nothing else, without a token. */
export function metricsServer(registry: Registry, log: Pick<Logger, 'error'>): Server {
  const answer = async ({ incoming, outgoing, path }: Exchange): Promise<void> => {
    if (path !== '/metrics') throw storageError('not_found', 'There is nothing here but GET /metrics.');
    if (incoming.method !== 'GET' && incoming.method !== 'HEAD') {
      outgoing.setHeader('allow', 'GET, HEAD');
      throw storageError('method_not_allowed', `${incoming.method} is not allowed here; use GET, HEAD.`);
    }
    const text = await registry.metrics();
    outgoing.writeHead(200, { 'content-type': registry.contentType }).end(text);
  };
  const server = createServer((incoming, outgoing) => {
    const exchange = beginExchange(incoming, outgoing);
    answer(exchange).catch((error: unknown) => {
      const { requestId } = exchange;
      if (!isStorageError(error)) log.error({ err: error, request_id: requestId }, 'no metrics');
      sendProblem(outgoing, error, requestId);
    });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable) socket.destroy();
    else refuseUnparsed(error, socket);
  });
  return server;
}
