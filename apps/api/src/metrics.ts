import { createServer } from 'node:http';
import type { Server } from 'node:http';

import type { Registry } from 'prom-client';

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
export function metricsServer(registry: Registry): Server {
  return createServer((request, response) => {
    if (request.url?.split('?', 1)[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
}
