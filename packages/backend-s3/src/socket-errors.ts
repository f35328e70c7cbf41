import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** A failure on a kept socket that the server had closed: nobody has seen the request. */
export class StaleSocketError extends Error {}

export function timeoutError(socket: Socket | null): Error {
  const isConnecting =
    socket === null || socket.connecting || (socket as TLSSocket & { readonly secureConnecting?: boolean }).secureConnecting;
  const message = isConnecting === true ? 'could not establish a connection in time' : 'no answer in time';
  return Object.assign(new Error(message), { name: 'TimeoutError' });
}

/** Whether a server is not trusted. */
export function isOfCertificate(code = ''): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(code);
}
