import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** A failure on a kept socket that the server had already closed: nobody has seen the request. */
export class StaleSocketError extends Error {}

export function timeoutError(socket: Socket | null): Error {
  const isConnecting =
    socket === null || socket.connecting || (socket as TLSSocket & { readonly secureConnecting?: boolean }).secureConnecting;
  const message = isConnecting === true ? 'could not establish a connection in time' : 'no answer in time';
  return Object.assign(new Error(message), { name: 'TimeoutError' });
}

/** The connection ended before the answer did. */
export function cutError(message = 'socket hang up'): Error {
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}

/** Whether the other side closed the connection, as it may close any kept one. */
function isCut(error: unknown): boolean {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

/** Whether the connection is unusable through no fault of the request: it was cut, or over TLS damaged on the way. */
export function isConnectionLost(error: unknown): boolean {
  const { code, message } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  // Node reports EPROTO for a failed handshake, but also for damage that it meets while writing. What the server says about certificates is
  // not damage.
  const isWriteDamage = code === 'EPROTO' && message?.includes('bad record mac') === true;
  const isDamaged = isWriteDamage || (typeof code === 'string' && code.startsWith('ERR_SSL_') && !isCertificateCode(code));
  return isDamaged || isCut(error);
}

/** Whether the connection is lost, or the system has given it up: its probes remain unanswered, long before our own timeout. */
export function isInterrupted(error: unknown): boolean {
  return isConnectionLost(error) || (error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT';
}

/** The error of a request on a socket that had served others before. @param bytesBefore bytes that had been received for those */
export function failureOnKept(error: unknown, socket: Socket | undefined, bytesBefore: number): unknown {
  const isStale = isCut(error) && socket?.bytesRead === bytesBefore;
  return isStale ? new StaleSocketError('closed while it was kept', { cause: error }) : error;
}

/** Whether the code means that the server's certificate is not trusted. */
export function isCertificateCode(code = ''): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(code);
}
