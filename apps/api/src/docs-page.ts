import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Scalar } from '@scalar/hono-api-reference';

import type { Router } from './router.ts';

// The build places the viewer beside the bundle, so the page needs no other host.
const viewer = fileURLToPath(new URL('./scalar.js', import.meta.url));

/** `GET /openapi.json` and `GET /docs`. */
export function docsRoutes(router: Router, options: { readonly version: string; readonly publicUrl: string }): void {
  const { app } = router;
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' });
  let document: string | undefined;
  app.get('/openapi.json', (c) => {
    document ??= JSON.stringify(
      app.getOpenAPI31Document({
        openapi: '3.1.0',
        info: {
          title: 'Coffer',
          version: options.version,
          description: 'Multi-tenant object storage: tracked files, objects, buckets and tenants.',
          license: { name: 'MIT', url: 'https://spdx.org/licenses/MIT' },
        },
        servers: [{ url: options.publicUrl }],
        security: [{ bearer: [] }],
        tags: ['Files', 'Objects', 'Buckets', 'Tenants', 'Operations'].map((name) => ({ name })),
      }),
    );
    return c.body(document, 200, { 'content-type': 'application/json' });
  });
  app.get('/docs', Scalar({ url: '/openapi.json', cdn: '/docs/scalar.js', withDefaultFonts: false, pageTitle: 'Coffer API', telemetry: false }));
  app.get('/docs/', (c) => c.redirect('/docs', 301));
  app.get('/docs/scalar.js', async (c) => {
    const { size } = await stat(viewer);
    c.env.outgoing.writeHead(200, { 'content-type': 'text/javascript', 'content-length': size, 'cache-control': 'public, max-age=86400' });
    await pipeline(createReadStream(viewer), c.env.outgoing).catch(() => c.env.outgoing.destroy());
    return RESPONSE_ALREADY_SENT;
  });
}
