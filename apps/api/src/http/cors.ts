import type { IncomingMessage, ServerResponse } from 'node:http';

const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const exposed = 'ETag, Content-Length, Content-Range, Content-Disposition, Last-Modified, Accept-Ranges, X-Request-ID, Retry-After, Location';

/**
 * Lets pages of the allowed origins use the API. Answers preflights itself.
 * @returns whether the request was a preflight and is answered
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function applyCors(incoming: IncomingMessage, outgoing: ServerResponse, origins: readonly string[]): boolean {
  const { origin } = incoming.headers;
  if (origin === undefined) return false;
  const any = origins.includes('*');
  if (!any) outgoing.setHeader('vary', 'Origin');
  const allowed = any || origins.includes(origin);
  if (allowed) {
    outgoing.setHeader('access-control-allow-origin', any ? '*' : origin);
    outgoing.setHeader('access-control-expose-headers', exposed);
  }
  const preflight = incoming.method === 'OPTIONS' && incoming.headers['access-control-request-method'] !== undefined;
  if (!preflight) return false;
  if (allowed) {
    outgoing.setHeader('access-control-allow-methods', methods);
    outgoing.setHeader('access-control-allow-headers', incoming.headers['access-control-request-headers'] ?? '*');
    outgoing.setHeader('access-control-max-age', '3600');
  }
  outgoing.writeHead(204).end();
  return true;
}
