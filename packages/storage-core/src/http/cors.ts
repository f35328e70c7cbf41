import type { IncomingMessage, ServerResponse } from 'node:http';

import { isAllowedOrigin } from './allowed-origin.ts';

// What a page's script may read of an answer; without the ETag it cannot tell what it has uploaded.
const exposed =
  'ETag, Content-Length, Content-Range, Content-Disposition, Last-Modified, Accept-Ranges, X-Request-ID, Retry-After, Location';
const preflightSeconds = 3600;

/**
 * Sets what lets pages of some origins read the answer. No cookie or other credential is ever let in.
 * @param origins `*` for all, or origins whose host may begin with `*.`
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function setCorsHeaders(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): void {
  const anybody = origins.includes('*');
  if (anybody) {
    // Also to who names no origin, as an <img> does: a script that asks for the same URL gets the kept answer, headers and all.
    response.setHeader('access-control-allow-origin', '*');
  } else {
    response.appendHeader('vary', 'Origin');
    const { origin } = request.headers;
    if (origin === undefined || !isAllowedOrigin(origin, origins)) return;
    response.setHeader('access-control-allow-origin', origin);
  }
  response.setHeader('access-control-expose-headers', exposed);
}

/**
 * Answers the question that a browser asks before it sends a PUT, or headers of its own, once `setCorsHeaders` has said
 * whether its page may.
 * @param methods separated by commas
 */
export function answerPreflight(request: IncomingMessage, response: ServerResponse, methods: string): void {
  if (response.hasHeader('access-control-allow-origin')) {
    response.setHeader('access-control-allow-methods', methods);
    // Named one by one, since `*` leaves out Authorization.
    const asked = request.headers['access-control-request-headers'];
    if (asked !== undefined) response.setHeader('access-control-allow-headers', asked);
    response.setHeader('access-control-max-age', preflightSeconds);
  }
  response.writeHead(204);
  response.end();
}
