import type { IncomingMessage, ServerResponse } from 'node:http';

import { isAllowedOrigin } from '@coffer/storage-core/http';

const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const exposed =
  'ETag, Content-Length, Content-Range, Content-Disposition, Last-Modified, Accept-Ranges, X-Request-ID, Retry-After, Location';
const preflightSeconds = 3600;

/**
 * Lets pages of the allowed origins use the API. Answers preflights itself.
 * @param origins `*`, or origins whose host may begin with `*.`
 * @returns whether the request was a preflight and is answered
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function applyCors(incoming: IncomingMessage, outgoing: ServerResponse, origins: readonly string[]): boolean {
  const { origin } = incoming.headers;
  const anybody = origins.includes('*');
  if (!anybody) outgoing.setHeader('vary', 'Origin');
  if (origin === undefined) return false;
  const allowed = isAllowedOrigin(origin, origins);
  if (allowed) {
    outgoing.setHeader('access-control-allow-origin', anybody ? '*' : origin);
    outgoing.setHeader('access-control-expose-headers', exposed);
  }
  const preflight = incoming.method === 'OPTIONS' && incoming.headers['access-control-request-method'] !== undefined;
  if (!preflight) return false;
  if (allowed) {
    outgoing.setHeader('access-control-allow-methods', methods);
    // Named one by one, since `*` leaves out Authorization.
    outgoing.setHeader('access-control-allow-headers', incoming.headers['access-control-request-headers'] ?? '*');
    outgoing.setHeader('access-control-max-age', preflightSeconds);
  }
  outgoing.writeHead(204).end();
  return true;
}
