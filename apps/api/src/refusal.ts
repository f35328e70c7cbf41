import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';

import { storageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';
import { problemHeaders, problemOf } from '@coffer/storage-core/http';

import type { Exchange } from './exchange.ts';

// Refusals by HTTP itself have their own statuses and the code validation_failed.

const lingerMs = 1_000;

/**
 * Answers a request of whose body no more will arrive. Bypasses the handler, which notices when the connection closes, as with any client
 * that has gone. The connection closes at once, so that no more of the body arrives.
 */
export function refuseBody(exchange: Exchange, socket: Socket, status: 400 | 408, detail: string): void {
  const { outgoing, requestId } = exchange;
  const error = storageError('validation_failed', detail);
  exchange.error = error;
  exchange.refusalStatus = status;
  socket.end(answerText(error, status, requestId, outgoing.getHeaders()), () => socket.destroy());
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

/** Answers bytes that Node could not parse as a request. */
export function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket): { readonly status: number; readonly requestId: string } {
  const [status, detail] = statusAndDetail(error);
  const requestId = randomUUID();
  socket.end(answerText(storageError('validation_failed', detail), status, requestId));
  setTimeout(() => socket.destroy(), lingerMs).unref(); // does not wait for what the client still sends
  return { status, requestId };
}

function statusAndDetail({ code }: NodeJS.ErrnoException): readonly [status: number, detail: string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'The headers are larger than 16 KiB.'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'The headers did not arrive in time.'];
  if (code === 'HPE_INVALID_URL') return [400, 'The URL is not valid: percent-encode what is not ASCII.'];
  return [400, 'That is not an HTTP request.'];
}

/** The body of an answer whose status is not that of its code. */
export function problemText(error: StorageError, status: number, requestId: string): string {
  return JSON.stringify({ ...problemOf(error, requestId), status, title: STATUS_CODES[status] });
}

/**
 * A complete answer, for a connection on which Node sends none.
 * @param headersSoFar headers that the answer would have had
 */
function answerText(error: StorageError, status: number, requestId: string, headersSoFar: OutgoingHttpHeaders = {}): string {
  const body = problemText(error, status, requestId);
  const headers: OutgoingHttpHeaders = {
    ...headersSoFar,
    ...problemHeaders(error),
    'content-length': Buffer.byteLength(body),
    'x-request-id': requestId,
    date: new Date().toUTCString(),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(', ') : value}`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}
