import type { IncomingMessage, ServerResponse } from 'node:http';

import { contentLength, hasBody } from '@coffer/storage-core/http';

const longBodyBytes = 2_097_152;

/** Whether the answer may begin before the end of the body; `closeIfAnsweredEarly` is then needed. */
export function mayBeAnsweredEarly(incoming: IncomingMessage): boolean {
  return hasLongBody(incoming) || (hasBody(incoming) && (incoming.headers.upgrade !== undefined || !readsWholeBody(incoming)));
}

/**
 * Whether the body may take longer than the server waits for it after the answer. Unknown for a chunked body, so false: when the request
 * is refused at once, all of it may have arrived without being parsed yet.
 */
function hasLongBody(incoming: IncomingMessage): boolean {
  return (contentLength(incoming) ?? 0) > longBodyBytes;
}

/** Whether routes of this method read the whole body before any answer other than a refusal. */
function readsWholeBody({ method }: IncomingMessage): boolean {
  return method === 'PUT' || method === 'POST' || method === 'PATCH';
}

/**
 * An answer before the end of the body announces that the connection closes. Otherwise a client would send its next request, such as the
 * same one with a new token, into a connection that is cut while the rest of the body is still on its way. Nor may a proxy send
 * another client's request in place of a body that nobody reads: see `closeIfUnread`.
 *
 * Also, if a request asks for another protocol, which it does not get, Node loses what arrives together with the end of its body: the next
 * request of a client that was answered before the body was complete, as Java's client sends it.
 */
export function closeIfAnsweredEarly(incoming: IncomingMessage, outgoing: ServerResponse): void {
  let keepsAlive = outgoing.shouldKeepAlive;
  Object.defineProperty(outgoing, 'shouldKeepAlive', {
    get: () => keepsAlive && incoming.complete, // read when Node writes the head
    set: (value: boolean) => {
      keepsAlive = value;
    },
  });
}
