import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Scalar } from '@scalar/hono-api-reference';

import { storageError } from '@coffer/storage-core';

import type { AppEnv } from './app-env.ts';
import type { Access } from './guard.ts';
import { problems } from './responses.ts';
import type { Router } from './router.ts';
import type { Services } from './services.ts';
import { version } from './version.ts';

const access: Access = { role: 'anybody', needsStorage: false };

// The build places the viewer beside the bundle, so the page needs no other host.
const viewer = fileURLToPath(new URL('./scalar.js', import.meta.url));

const tags = [
  { name: 'Files', description: 'Tracked files of a tenant, for everyone with a token.' },
  { name: 'Objects', description: 'Objects in buckets, for admins and services.' },
  { name: 'Buckets', description: 'Administration of buckets, for admins.' },
  { name: 'Tenants', description: 'Administration of tenants, for admins.' },
  { name: 'Presigned', description: 'Targets of the presigned URLs of the local backend; no token needed.' },
  { name: 'Operations', description: 'Health, metrics and documentation.' },
];

/** `GET /openapi.json` and `GET /docs`. */
export function docsRoutes(router: Router, { runtime }: Services): void {
  const { app } = router;
  const { publicUrl } = runtime.config.server;
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' });
  let document: string | undefined;
  const csp = cspFor(publicUrl);
  // The path prefix that a proxy strips from requests.
  const root = new URL(publicUrl).pathname.replace(/\/$/, '');
  const page = Scalar<AppEnv>({
    url: `${root}/openapi.json`,
    cdn: `${root}/docs/scalar.js`,
    withDefaultFonts: false,
    pageTitle: 'Coffer API',
    telemetry: false,
    // Links to services on other hosts are left out.
    showDeveloperTools: 'never',
    hideClientButton: true,
    agent: { disabled: true },
    mcp: { disabled: true },
  });

  router.add({
    method: 'get',
    path: '/openapi.json',
    operationId: 'docs.openapi',
    summary: 'This document',
    access,
    tags: ['Operations'],
    responses: { 200: { description: 'OpenAPI 3.1', content: { 'application/json': { schema: { type: 'object' } } } }, ...problems() },
    handler: (c) => {
      document ??= JSON.stringify(
        app.getOpenAPI31Document({
          openapi: '3.1.0',
          info: {
            title: 'Coffer',
            version,
            description:
              'Multi-tenant object storage: tracked files, objects, buckets and tenants. Errors are problems (RFC 9457) with a `code`. ' +
              'A path that is not listed answers 404 `not_found`; a method that a path does not have, 405 `method_not_allowed` with `Allow`. ' +
              'A request that is refused before it reaches a path has the code `validation_failed`: 400 for what is not an HTTP request or has no valid Host, ' +
              '408 for headers that arrive too slowly and for a body that stops arriving, 417 for an expectation other than 100-continue, 431 for headers over 16 KiB.',
            license: { name: 'MIT', url: 'https://spdx.org/licenses/MIT' },
          },
          servers: [{ url: publicUrl }],
          security: [{ bearer: [] }],
          tags,
        }),
      );
      return c.body(document, 200, { 'content-type': 'application/json' });
    },
  });

  router.add({
    method: 'get',
    path: '/docs',
    collection: true,
    operationId: 'docs.page',
    summary: 'This document as a page, to read and to try out',
    access,
    tags: ['Operations'],
    responses: {
      200: { description: 'A page that loads nothing from other hosts', content: { 'text/html': { schema: { type: 'string' } } } },
      ...problems(),
    },
    handler: async (c) => {
      c.header('content-security-policy', csp);
      const rendered = await page(c, async () => {});
      if (rendered === undefined) return c.notFound();
      // Screen readers take the language from here, and the viewer's page does not set it. There is no icon to request.
      const text = (await rendered.text()).replace('<html>', '<html lang="en">');
      return c.html(text.replace('<head>', '<head><link rel="icon" href="data:,">'));
    },
  });

  app.get('/docs/scalar.js', async (c) => {
    const { outgoing } = c.env;
    const { size } = await stat(viewer).catch((cause: unknown) => {
      throw storageError('not_found', 'The viewer of the documentation is part of the built server only.', { cause });
    });
    outgoing.writeHead(200, {
      'content-type': 'text/javascript; charset=utf-8',
      'content-length': size,
      'cache-control': 'public, max-age=86400',
    });
    await pipeline(createReadStream(viewer), outgoing).catch(() => outgoing.destroy());
    return RESPONSE_ALREADY_SENT;
  });
}

/** Allows the page to run only this server's code, and its forms to call only the API at its public URL. */
function cspFor(publicUrl: string): string {
  return [
    "default-src 'none'",
    "script-src 'self' 'unsafe-inline'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    `connect-src 'self' ${new URL(publicUrl).origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
