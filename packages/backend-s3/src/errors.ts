import { isStorageError, storageError } from '@coffer/storage-core';
import type { StorageError, StorageErrorCode, StorageErrorOptions } from '@coffer/storage-core';

import { isBroken, isOfCertificate } from './socket-errors.ts';
import { TunnelError } from './tunnels.ts';

/** What a request was about, for the words of its error. */
export interface About {
  readonly bucket?: string;
  readonly key?: string;
  /** What the credentials need to be allowed. */
  readonly permission: string;
}

const codeByName: Readonly<Record<string, StorageErrorCode>> = {
  NoSuchKey: 'file_not_found',
  NoSuchVersion: 'file_not_found',
  NoSuchBucket: 'no_such_bucket',
  BucketAlreadyExists: 'bucket_already_exists',
  BucketAlreadyOwnedByYou: 'bucket_already_exists',
  BucketNotEmpty: 'bucket_not_empty',
  InvalidBucketName: 'invalid_bucket_name',
  KeyTooLongError: 'invalid_key',
  InvalidObjectName: 'invalid_key',
  XMinioInvalidObjectName: 'invalid_key',
  XMinioInvalidResourceName: 'invalid_key',
  XMinioObjectExistsAsDirectory: 'invalid_key',
  XMinioParentIsObject: 'invalid_key',
  ObjectParentIsFile: 'invalid_key',
  ExistingObjectIsDirectory: 'invalid_key',
  ExistingObjectIsFile: 'invalid_key',
  InvalidArgument: 'invalid_argument',
  InvalidRequest: 'invalid_argument',
  InvalidStorageClass: 'invalid_argument',
  InvalidLocationConstraint: 'invalid_argument',
  IllegalLocationConstraintException: 'invalid_argument',
  InvalidRegionName: 'invalid_argument',
  MalformedXML: 'invalid_argument',
  MetadataTooLarge: 'invalid_argument',
  EntityTooLarge: 'payload_too_large',
  InvalidRange: 'range_not_satisfiable',
  PreconditionFailed: 'precondition_failed',
  ConditionalRequestConflict: 'precondition_failed',
  BadDigest: 'checksum_mismatch',
  InvalidDigest: 'checksum_mismatch',
  XAmzContentSHA256Mismatch: 'checksum_mismatch',
  XAmzContentChecksumMismatch: 'checksum_mismatch',
  AccessControlListNotSupported: 'acl_not_supported',
  NotImplemented: 'not_supported',
  MethodNotAllowed: 'not_supported',
  UnsupportedOperation: 'not_supported',
  InvalidObjectState: 'object_archived',
  SlowDown: 'storage_unavailable',
  ServiceUnavailable: 'storage_unavailable',
  InternalError: 'storage_unavailable',
  RequestTimeout: 'storage_unavailable',
  OperationAborted: 'storage_unavailable',
  MalformedXmlError: 'storage_unavailable',
  NoS3AnswerError: 'storage_unavailable',
  NoSuchUpload: 'storage_unavailable',
  XMinioServerNotInitialized: 'storage_unavailable',
};

const refusals: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'The storage provider does not know the access key.',
  SignatureDoesNotMatch:
    'The storage provider does not accept the secret key, or a proxy in front of it changes the host or path of requests.',
  ExpiredToken: 'The credentials have expired.',
  InvalidToken: 'The storage provider does not accept the session token.',
  RequestTimeTooSkewed: "This machine's clock differs too much from that of the storage provider.",
  CredentialsProviderError: 'There are no credentials for the storage provider.',
};

const messageByName: Readonly<Record<string, string>> = {
  NoS3AnswerError: 'What answers at the endpoint of the storage provider is no S3 server, or something before it.',
  MetadataTooLarge: 'The storage provider takes less metadata; it may count more than names and values, such as "x-amz-meta-" before each.',
};

const fullStores: ReadonlySet<string> = new Set([
  'XMinioStorageFull',
  'InsufficientStorage',
  'QuotaExceeded',
  'XMinioAdminBucketQuotaExceeded',
]);

interface ProviderError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly isDoubtful?: boolean };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>>; body?: unknown };
}

/** The only place that knows what errors of the provider, the SDK and the network mean. */
export function toStorageError(cause: unknown, about: About): StorageError {
  if (isStorageError(cause)) return cause;
  const error = cause as ProviderError;
  const name = nameOf(error);
  const headers = error.$response?.headers ?? {};
  // It leads to the socket and to the request with its signature, which are nothing to keep or to log.
  if (error.$response !== undefined) delete error.$response.body;
  const refusal = refusals[name];
  if (refusal !== undefined) return storageError('access_denied', refusal, { cause });
  if (fullStores.has(name)) return storageError('storage_unavailable', 'The storage is full.', { cause, retryable: false });
  const network = networkError(error);
  if (network !== undefined) return network;
  // Ceph says NoSuchKey, too, of a bucket that goes while it is asked for something.
  const named = name === 'NoSuchKey' && about.key === undefined ? 'no_such_bucket' : codeByName[name];
  const code = named ?? codeByStatus(statusOf(error), about);
  const known = messageByName[name];
  if (known !== undefined) return storageError(code, known, { cause, retryable: false });
  const doubt = name === '' && code === 'access_denied' ? ' So it does with wrong keys.' : ''; // an answer to HEAD tells no more
  return storageError(code, messageOf(code, about) + doubt, { cause, ...detailsOf(code, headers) });
}

/** The name that S3 gives an error: many servers send no more. */
function nameOf(error: unknown): string {
  const { name, Code } = (error ?? {}) as { readonly name?: unknown; readonly Code?: unknown };
  return typeof Code === 'string' ? Code : typeof name === 'string' ? name : '';
}

/** As `nameOf`, of what a StorageError was made from. */
export function causeName(error: unknown): string {
  return nameOf(isStorageError(error) ? error.cause : error);
}

export function statusOf(error: unknown): number | undefined {
  return (error as ProviderError | undefined)?.$metadata?.httpStatusCode;
}

/** The bucket that the provider says it is about; empty where it does not say. */
export function causeBucket(error: unknown): string {
  const { BucketName: bucket } = ((isStorageError(error) ? error.cause : undefined) ?? {}) as { readonly BucketName?: unknown };
  return typeof bucket === 'string' ? bucket : '';
}

/** As `statusOf`, of what a StorageError was made from. */
export function causeStatus(error: unknown): number | undefined {
  return isStorageError(error) ? statusOf(error.cause) : undefined;
}

/**
 * Whether an attempt that failed so may have been carried out all the same: its answer got lost, or a gateway's came instead. What the
 * server itself answers with was not done; so Ceph tells the loser of a race for a key.
 */
export function leavesDoubt(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status === 502 || status === 504;
  return !isUnreached(error);
}

/** Whether that was so of an attempt before, of what a StorageError was made from. */
export function wasInDoubt(error: unknown): boolean {
  return isStorageError(error) && (error.cause as ProviderError | undefined)?.$metadata?.isDoubtful === true;
}

/** A header of the answer that became this error. */
export function headerOf(error: unknown, header: string): string | undefined {
  return (error as ProviderError | undefined)?.$response?.headers?.[header];
}

/** The code of one key's error within the answer to a batch. */
export function codeOfName(name: string): StorageErrorCode {
  return codeByName[name] ?? (name === 'AccessDenied' ? 'access_denied' : 'storage_unavailable');
}

/** Answers to HEAD have no body and so no name, and some servers leave names out. */
function codeByStatus(status: number | undefined, { key }: About): StorageErrorCode {
  if (status === undefined) return 'internal_error';
  if (status < 300) return 'storage_unavailable'; // a success that the SDK could not read
  if (status === 404) return key === undefined ? 'no_such_bucket' : 'file_not_found';
  if (status === 401 || status === 403) return 'access_denied';
  if (status === 405 || status === 501) return 'not_supported';
  if (status === 412) return 'precondition_failed';
  if (status === 413) return 'payload_too_large';
  if (status === 416) return 'range_not_satisfiable';
  // 499: MinIO says so of requests of a bucket that goes meanwhile, whoever waits for their answer.
  if (status === 408 || status === 409 || status === 429 || status >= 499) return 'storage_unavailable';
  // What is left of 3xx is a bucket of another region that no redirect led to.
  return 'invalid_argument';
}

function detailsOf(code: StorageErrorCode, headers: Readonly<Record<string, string>>): StorageErrorOptions {
  const size = /^bytes \*\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  if (code === 'range_not_satisfiable') return size === undefined ? {} : { objectSize: Number(size) };
  if (code !== 'storage_unavailable') return {};
  return { retryAfter: retryAfterIn(headers['retry-after'] ?? '') };
}

/** Seconds, out of the header as RFC 9110 has it: seconds, or a date. */
function retryAfterIn(header: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return seconds > 0 ? seconds : 1;
}

function messageOf(code: StorageErrorCode, { bucket = '', key = '', permission }: About): string {
  const messages: Partial<Record<StorageErrorCode, string>> = {
    file_not_found: `There is no object "${key}" in the bucket "${bucket}".`,
    no_such_bucket: `There is no bucket "${bucket}".`,
    bucket_already_exists: `The bucket "${bucket}" already exists.`,
    bucket_not_empty: `The bucket "${bucket}" is not empty.`,
    invalid_bucket_name: `The storage provider does not accept "${bucket}" as the name of a bucket.`,
    invalid_key: 'The storage provider cannot hold an object with this key.',
    invalid_argument: 'The storage provider does not accept this request; it may not know a storage class, canned ACL, region or rule.',
    payload_too_large: 'The object is larger than the storage provider accepts.',
    range_not_satisfiable: 'The range lies outside the object.',
    precondition_failed: 'The object is not in the state that the condition asks for.',
    checksum_mismatch: 'The checksum of the bytes does not match the declared one.',
    access_denied: `The storage provider refused; the credentials may lack the permission ${permission}.`,
    acl_not_supported: 'The storage provider does not support access control lists here.',
    not_supported: 'The storage provider does not support this.',
    object_archived: `The object "${key}" is archived; restore it before reading it.`,
    storage_unavailable: 'The storage provider is not available at the moment.',
  };
  return messages[code] ?? 'The storage provider failed.';
}

/** What an operator can look into: nothing was sent. */
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

/** Whether there was no way to the server. */
export function isUnreached(error: unknown): boolean {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  // A route may forbid it in several ways: EACCES, EINVAL, EPERM.
  const isRefused = syscall === 'connect' || isOfAllAddresses(error);
  return Object.hasOwn(unreachable, code) || (isRefused && code !== 'ETIMEDOUT');
}

/** Of a name with several addresses, none of which took a connection. Its code is that of the first one. */
function isOfAllAddresses(error: unknown): boolean {
  return error instanceof AggregateError;
}

const noTls = 'The storage provider does not use TLS at this endpoint; the address may need to begin with http://.';
const tlsRefused =
  'The storage provider refuses the TLS connection; it may not know the host name in the endpoint, or may require other TLS versions or ciphers, or a client certificate.';

/** @param code of Node or OpenSSL */
function reason(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return ': it has expired, or the clock of this machine is wrong';
  if (code === 'CERT_NOT_YET_VALID') return ': it is not valid yet, or the clock of this machine is wrong';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return ': it is for other hosts than that of the endpoint';
  const isUnknown = code.includes('SELF_SIGNED') || code.startsWith('UNABLE_TO_');
  return isUnknown ? ': no CA that is known here has issued it; NODE_EXTRA_CA_CERTS names one of your own' : '';
}

function networkError(error: ProviderError): StorageError | undefined {
  const { message = '' } = error;
  const code = typeof error.code === 'string' ? error.code : ''; // that of a DOMException is a number
  const options = { cause: error };
  if (error instanceof TunnelError) {
    const { status, isUntrusted } = error;
    const silent = isUntrusted ? 'has a certificate that is not trusted' : 'cannot be reached, or closed the connection';
    const answer = status === undefined ? silent : `answered ${status}`;
    const message = `The proxy for the connection to the storage provider, of HTTPS_PROXY, ${answer}.`;
    return storageError('storage_unavailable', message, { ...options, ...(code === 'ETUNNELREFUSED' && { retryable: false }) });
  }
  // By code first: the SDK calls a connection that was cut a timeout.
  const isOver = isBroken(error) || code === 'ECONNABORTED' || message === 'socket hang up';
  if (isUnreached(error) || isOver || code.startsWith('HPE_')) {
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
    return isOfAllAddresses(error) || /establish|connect ETIMEDOUT/.test(message)
      ? storageError('connect_timeout', 'No connection to the storage provider could be made in time.', options)
      : storageError('read_timeout', 'The storage provider did not answer in time.', options);
  }
  if (code === 'ERR_INVALID_CHAR') return storageError('invalid_argument', 'A header cannot hold one of the values given.', options);
  if (code === 'EPROTO') {
    return storageError('storage_unavailable', / alert /.test(message) ? tlsRefused : noTls, { ...options, retryable: false });
  }
  if (isOfCertificate(code)) {
    const told = code.startsWith('ERR_SSL_') ? tlsRefused : `The storage provider's certificate is not trusted${reason(code)}.`;
    return storageError('storage_unavailable', told, { ...options, retryable: false });
  }
  return undefined;
}
