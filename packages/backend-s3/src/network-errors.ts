import { storageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';

import { isCertificateCode, isConnectionLost } from './http/socket-errors.ts';
import { TunnelError } from './http/tunnels.ts';
import type { ProviderError } from './provider-error.ts';

/** Failures that an operator can look into: nothing was sent. */
const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'The connection to the storage provider failed: nothing listens at its endpoint.',
  ENOTFOUND: 'The connection to the storage provider failed: there is no host of the name in its endpoint.',
  EAI_AGAIN: 'The connection to the storage provider failed: the name in its endpoint could not be looked up.',
  EAI_FAIL: 'The connection to the storage provider failed: the name server refuses to look up the name in its endpoint.',
  EHOSTUNREACH: 'The connection to the storage provider failed: its host cannot be reached.',
  ENETUNREACH: 'The connection to the storage provider failed: its network cannot be reached.',
  EADDRNOTAVAIL: 'The connection to the storage provider failed: this machine has no port left for it.',
  EMFILE: 'The connection to the storage provider failed: this process has too many files open.',
  ENFILE: 'The connection to the storage provider failed: the machine has too many files open.',
};

/** Whether no connection to the server could be made. */
export function isConnectError(error: unknown): boolean {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  // A route may forbid it in several ways: EACCES, EINVAL, EPERM.
  const isRefused = syscall === 'connect' || failedAtAllAddresses(error);
  return Object.hasOwn(unreachable, code) || (isRefused && code !== 'ETIMEDOUT');
}

/** Whether a name has several addresses and all of them failed. The error's code is that of the first address. */
function failedAtAllAddresses(error: unknown): boolean {
  return error instanceof AggregateError;
}

const noTls = 'The storage provider does not use TLS at this endpoint; the address may need to begin with http://.';
const tlsRefused =
  'The storage provider refuses the TLS connection; it may not know the host name in the endpoint, or may require other TLS versions or ciphers, or a client certificate.';

/** @param code from Node or OpenSSL */
function reason(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return ': it has expired, or the clock of this machine is wrong';
  if (code === 'CERT_NOT_YET_VALID') return ': it is not valid yet, or the clock of this machine is wrong';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return ': it is for other hosts than that of the endpoint';
  const isUnknown = code.includes('SELF_SIGNED') || code.startsWith('UNABLE_TO_');
  return isUnknown ? ': no CA that is known here has issued it; NODE_EXTRA_CA_CERTS names one of your own' : '';
}

/** The StorageError for a request that got no answer; undefined for other errors. */
export function networkError(error: ProviderError): StorageError | undefined {
  const { message = '' } = error;
  const code = typeof error.code === 'string' ? error.code : ''; // the code of a DOMException is a number
  const options = { cause: error };
  // Node's parser keeps the bytes that it could not read, which may be those of an object. Not enumerable, to stay out of logs.
  if (code.startsWith('HPE_')) Object.defineProperty(error, 'rawPacket', { enumerable: false });
  if (error instanceof TunnelError) {
    const { status, isUntrusted } = error;
    const silent = isUntrusted ? 'has a certificate that is not trusted' : 'cannot be reached, or closed the connection';
    const answer = status === undefined ? silent : `answered ${status}`;
    const message = `The proxy for the connection to the storage provider, of HTTPS_PROXY, ${answer}.`;
    return storageError('storage_unavailable', message, { ...options, ...(code === 'ETUNNELREFUSED' && { retryable: false }) });
  }
  // Check the code first: the SDK reports a cut connection as a timeout.
  const isDisconnected = isConnectionLost(error) || code === 'ECONNABORTED' || message === 'socket hang up';
  if (isConnectError(error) || isDisconnected || code.startsWith('HPE_')) {
    return storageError('storage_unavailable', unreachable[code] ?? 'The connection to the storage provider failed.', {
      ...options,
      retryAfter: 1,
    });
  }
  if (error.name === 'CredentialsTimeoutError')
    return storageError('read_timeout', 'The credentials for the storage provider did not arrive in time.', options);
  if (error.name === 'CredentialsFailedError')
    return storageError('storage_unavailable', 'The credentials for the storage provider cannot be obtained at the moment.', {
      ...options,
      retryAfter: 1,
    });
  if (error.name === 'TimeoutError' || code === 'ETIMEDOUT') {
    return failedAtAllAddresses(error) || /establish|connect ETIMEDOUT/.test(message)
      ? storageError('connect_timeout', 'No connection to the storage provider could be made in time.', options)
      : storageError('read_timeout', 'The storage provider did not answer in time.', options);
  }
  if (code === 'ERR_INVALID_CHAR') return storageError('invalid_argument', 'A header cannot hold one of the values given.', options);
  if (code === 'EPROTO') {
    return storageError('storage_unavailable', / alert /.test(message) ? tlsRefused : noTls, { ...options, retryable: false });
  }
  if (isCertificateCode(code)) {
    const tlsMessage = code.startsWith('ERR_SSL_') ? tlsRefused : `The storage provider's certificate is not trusted${reason(code)}.`;
    return storageError('storage_unavailable', tlsMessage, { ...options, retryable: false });
  }
  return undefined;
}
