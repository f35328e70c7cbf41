import type { IncomingMessage, ServerResponse } from 'node:http';

import { hasBody, lingerAtEnd } from '@coffer/storage-core/http';

/** Whether the request brings a body that its route does not read before it answers; `closeIfAnsweredEarly` is then needed. */
export function bringsUnreadBody(incoming: IncomingMessage): boolean {
  const { method } = incoming;
  return hasBody(incoming) && method !== 'PUT' && method !== 'POST' && method !== 'PATCH';
}

/**
 * As `closeIfUnread`, for whatever answers the request, and at the moment when Node writes the head of the answer.
 */
export function closeIfAnsweredEarly(incoming: IncomingMessage, outgoing: ServerResponse): void {
  let keepsAlive = outgoing.shouldKeepAlive;
  Object.defineProperty(outgoing, 'shouldKeepAlive', {
    get: () => keepsAlive && incoming.complete,
    set: (value: boolean) => {
      keepsAlive = value;
    },
  });
  lingerAtEnd(incoming);
}
