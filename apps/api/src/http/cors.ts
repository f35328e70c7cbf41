import type { IncomingMessage, ServerResponse } from 'node:http';

import { answerPreflight, setCorsHeaders } from '@coffer/storage-core/http';

/**
 * Lets pages of the allowed origins use the API, and answers preflights.
 * @param origins `*`, or origins whose host may begin with `*.`
 * @returns whether the request was a preflight and has been answered
 */
export function applyCors(incoming: IncomingMessage, outgoing: ServerResponse, origins: readonly string[]): boolean {
  setCorsHeaders(incoming, outgoing, origins);
  const { method, headers } = incoming;
  if (method !== 'OPTIONS' || headers.origin === undefined || headers['access-control-request-method'] === undefined) return false;
  answerPreflight(incoming, outgoing, 'GET, HEAD, POST, PUT, PATCH, DELETE');
  return true;
}
