import type { IncomingMessage, ServerResponse } from 'node:http';

import { isAllowedOrigin } from './allowed-origin.ts';

// Response headers that a page's script may read; without the ETag it cannot tell what it has uploaded.
const exposedHeaders =
  'ETag, Content-Length, Content-Range, Content-Disposition, Last-Modified, Accept-Ranges, X-Request-ID, Retry-After, Location';
const preflightSeconds = 3600;

/**
 * Sets the headers that let pages of some origins read the response. Cookies and other credentials are never allowed.
 * @param origins `*` for all, or origins whose host may begin with `*.`
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function setCorsHeaders(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): void {
  const anyOrigin = origins.includes('*');
  if (anyOrigin) {
    // Also without an Origin, as for an <img>: a script that requests the same URL gets the cached response, headers included.
    response.setHeader('access-control-allow-origin', '*');
  } else {
    response.appendHeader('vary', 'Origin');
    const { origin } = request.headers;
    if (origin === undefined || !isAllowedOrigin(origin, origins)) return;
    response.setHeader('access-control-allow-origin', origin);
  }
  response.setHeader('access-control-expose-headers', exposedHeaders);
}

/**
 * Answers the preflight that a browser sends before a PUT or custom headers. Call `setCorsHeaders` first: it decides whether the page may.
 * @param methods separated by commas
 */
export function answerPreflight(request: IncomingMessage, response: ServerResponse, methods: string): void {
  if (response.hasHeader('access-control-allow-origin')) {
    response.setHeader('access-control-allow-methods', methods);
    // Named one by one, since `*` does not cover Authorization.
    const requestedHeaders = request.headers['access-control-request-headers'];
    if (requestedHeaders !== undefined) response.setHeader('access-control-allow-headers', requestedHeaders);
    response.setHeader('access-control-max-age', preflightSeconds);
  }
  response.writeHead(204);
  response.end();
}
