import { isStorageError, storageError } from '@coffer/storage-core';
import type { StorageError, StorageErrorCode, StorageErrorOptions } from '@coffer/storage-core';

import { wasInDoubt } from './in-doubt.ts';
import { networkError } from './network-errors.ts';
import { nameOf, secondsIn, statusOf } from './provider-error.ts';
import type { ProviderError } from './provider-error.ts';

/** The subject of a request, for the message of its error. */
export interface About {
  readonly bucket?: string;
  readonly key?: string;
  /** The permission that the credentials need. */
  readonly permission: string;
  /** A policy refuses it to them, whatever else they may do. */
  readonly isForbidden?: boolean;
}

/** To read an object. Without the second one, a server does not tell whether there is one, and refuses what is absent. */
export const readPermission = 's3:GetObject or s3:ListBucket';

const codeByName: Readonly<Record<string, StorageErrorCode>> = {
  AccessDenied: 'access_denied',
  NoSuchKey: 'file_not_found',
  NoSuchVersion: 'file_not_found',
  NoSuchBucket: 'no_such_bucket',
  BucketAlreadyExists: 'bucket_already_exists',
  BucketAlreadyOwnedByYou: 'bucket_already_exists',
  BucketNameUnavailable: 'bucket_already_exists', // of Google, for a name that another account has
  BucketNotEmpty: 'bucket_not_empty',
  InvalidBucketName: 'invalid_bucket_name',
  // Of AWS, for a name that ends as those in the namespace of an account do, but of another one.
  MissingNamespaceHeader: 'invalid_bucket_name',
  InvalidNamespaceHeader: 'invalid_bucket_name',
  InvalidBucketNamespace: 'invalid_bucket_name',
  KeyTooLong: 'invalid_key',
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
  EntityTooLarge: 'payload_too_large',
  InvalidRange: 'range_not_satisfiable',
  PreconditionFailed: 'precondition_failed',
  ConditionalRequestConflict: 'precondition_failed',
  BadDigest: 'checksum_mismatch',
  InvalidDigest: 'checksum_mismatch',
  XAmzContentSHA256Mismatch: 'checksum_mismatch',
  XAmzContentChecksumMismatch: 'checksum_mismatch',
  AccessControlListNotSupported: 'acl_not_supported',
  InvalidBucketAclWithObjectOwnership: 'acl_not_supported', // of AWS, for a bucket that would be created with an ACL
  NotImplemented: 'not_supported',
  MethodNotAllowed: 'not_supported',
  UnsupportedOperation: 'not_supported',
  InvalidObjectState: 'object_archived',
  ObjectNotInActiveTierError: 'object_archived',
  SlowDown: 'storage_unavailable',
  ServiceUnavailable: 'storage_unavailable',
  InternalError: 'storage_unavailable',
  RequestTimeout: 'storage_unavailable',
  OperationAborted: 'storage_unavailable',
  MalformedXmlError: 'storage_unavailable',
  NoSuchUpload: 'storage_unavailable',
  XMinioServerNotInitialized: 'storage_unavailable',
};

const full = 'The storage is full.';
const usedUp = 'A quota that the storage provider has set, for the account or the bucket, is used up.';
const inHostName =
  'The storage provider takes the bucket only as part of the host name: set STORAGE_S3_FORCE_PATH_STYLE=false, which is the option forcePathStyle.';
const expired = 'The credentials have expired.';
/** Of AWS. No permission helps; new buckets have this setting. */
const publicAclBlocked: readonly [StorageErrorCode, string] = [
  'access_denied',
  'The storage provider refused; S3 Block Public Access, of the bucket or the account, allows no public access control lists.',
];

/** Errors that somebody has to end, so that trying again does not help: the code, and what is the matter. */
const explained: Readonly<Record<string, readonly [StorageErrorCode, string]>> = {
  InvalidAccessKeyId: ['access_denied', 'The storage provider does not know the access key.'],
  SignatureDoesNotMatch: [
    'access_denied',
    'The storage provider does not accept the secret key, or a proxy in front of it changes the host or path of requests.',
  ],
  ExpiredToken: ['access_denied', expired],
  TokenRefreshRequired: ['access_denied', expired],
  InvalidToken: ['access_denied', 'The storage provider does not accept the session token.'],
  RequestTimeTooSkewed: ['access_denied', "This machine's clock differs too much from that of the storage provider."],
  CredentialsProviderError: [
    'access_denied',
    'There are no credentials for the storage provider: no keys are set, and the default chain of the AWS SDK has found none.',
  ],
  SsoSessionEndedError: [
    'access_denied',
    'The credentials are those of an SSO session that has ended: "aws sso login" begins another one.',
  ],
  NotSignedUp: ['access_denied', 'This account is not signed up for the storage provider.'],
  AccountProblem: ['access_denied', 'The storage provider has a problem with this account.'],
  UserSuspended: ['access_denied', 'The storage provider has suspended this account.'],
  XMinioStorageFull: ['storage_unavailable', full],
  InsufficientStorage: ['storage_unavailable', full],
  QuotaExceeded: ['storage_unavailable', usedUp],
  XMinioAdminBucketQuotaExceeded: ['storage_unavailable', usedUp],
  TooManyBuckets: ['storage_unavailable', 'The storage provider allows this account no further bucket; raise the limit of the account.'],
  PathStyleDomainForbidden: ['storage_unavailable', inHostName], // of Tencent
  SecondLevelDomainForbidden: ['storage_unavailable', inHostName], // of Alibaba
  NoS3AnswerError: [
    'storage_unavailable',
    'The endpoint of the storage provider did not answer as an S3 server does: no S3 server is there, or a proxy before it answered.',
  ],
  InvalidBucketState: [
    'not_supported',
    'The storage provider keeps the versions of this bucket, as Object Lock or replication needs them.',
  ],
  InvalidBucketAclWithBlockPublicAccessError: publicAclBlocked, // for a bucket that would be created with an ACL
  EntityTooSmall: ['invalid_argument', 'The storage provider is configured to take only larger parts of an upload than Coffer sends.'],
  MetadataTooLarge: [
    'invalid_argument',
    'The storage provider takes less metadata; it may count more than names and values, such as "x-amz-meta-" before each.',
  ],
};

function explanationOf(name: string, message = ''): readonly [StorageErrorCode, string] | undefined {
  if (name === 'AccessDenied' && message.includes('prevented by the BlockPublicAcls setting')) return publicAclBlocked;
  const isOfEncryption = /^(?:KMS\.|kms:|CloudKms)/.test(name);
  return isOfEncryption
    ? ['storage_unavailable', 'The storage provider cannot use the key that it encrypts this bucket with.']
    : explained[name];
}

/** Turns whatever the provider, the SDK or the network failed with into a StorageError. Nothing else does. */
export function toStorageError(cause: unknown, about: About): StorageError {
  if (isStorageError(cause)) return cause;
  const error = translated(cause, about);
  // Callers may have to look for what an earlier attempt leaves behind, whatever the last one was told.
  return wasInDoubt(error) ? Object.assign(error, { inDoubt: true }) : error;
}

function translated(cause: unknown, about: About): StorageError {
  const error = cause as ProviderError;
  const name = nameOf(error);
  const headers = error.$response?.headers ?? {};
  // The body leads to the socket and to the request with its signature, which must not be kept or logged.
  if (error.$response !== undefined) delete error.$response.body;
  const known = explanationOf(name, error.message);
  if (known !== undefined) return storageError(...known, { cause, retryable: false });
  const network = networkError(error);
  if (network !== undefined) return network;
  if (isElsewhere(statusOf(error))) return storageError('storage_unavailable', elsewhere(about), { cause, retryable: false });
  // Ceph also answers NoSuchKey if a bucket is deleted during a request about the bucket.
  const named = name === 'NoSuchKey' && about.key === undefined ? 'no_such_bucket' : codeByName[name];
  const code = named ?? codeByStatus(statusOf(error), about);
  if (code === 'access_denied') about = { ...about, ...refusedBy(error.message) };
  const hint = name === '' && code === 'access_denied' ? ' It answers wrong keys in the same way.' : ''; // an answer to HEAD says no more
  return storageError(code, messageOf(code, about) + hint, { cause, ...detailsOf(code, headers) });
}

/** Whether the bucket is in another region, or zone group of Ceph, to which no correction has led. */
export function isElsewhere(status: number | undefined): boolean {
  return status === 301 || status === 307;
}

function elsewhere({ bucket }: About): string {
  const what = bucket === undefined ? 'this' : `the bucket "${bucket}"`;
  return `The storage provider keeps ${what} in another region or zone group; use the endpoint of that one (STORAGE_S3_ENDPOINT).`;
}

/** AWS says what exactly was refused: that may be the use of a key for the encryption, or due to a condition on how requests are made. */
function refusedBy(message = ''): Partial<About> {
  const [, permission] = /is not authorized to perform: ([\w-]+:\w+)/.exec(message) ?? [];
  return { ...(permission !== undefined && { permission }), isForbidden: message.includes('with an explicit deny') };
}

/** The error of credentials that are known to lack a permission. */
export function accessDenied(permission: string): StorageError {
  return storageError('access_denied', messageOf('access_denied', { permission }));
}

/** For an answer about another bucket than the request, which may be about none. */
export function misdirected(cause: unknown): StorageError {
  const message = 'The endpoint of the storage provider is not an S3 server, or its address points into a bucket.';
  return storageError('storage_unavailable', message, { cause, retryable: false });
}

/** The code of a single key's error in the answer to a batch. */
export function codeOfName(name: string): StorageErrorCode {
  return explanationOf(name)?.[0] ?? codeByName[name] ?? 'storage_unavailable';
}

/** Answers to HEAD have no body and so no error name, and some servers leave names out. */
function codeByStatus(status: number | undefined, { key }: About): StorageErrorCode {
  if (status === undefined) return 'internal_error';
  if (status < 300) return 'storage_unavailable'; // a success that the SDK could not read
  if (status === 404) return key === undefined ? 'no_such_bucket' : 'file_not_found';
  if (status === 401 || status === 403) return 'access_denied';
  if (status === 405 || status === 501) return 'not_supported';
  if (status === 412) return 'precondition_failed';
  if (status === 413) return 'payload_too_large';
  if (status === 416) return 'range_not_satisfiable';
  // 499: MinIO answers this if the bucket is deleted during a request, even if the client is still waiting.
  if (status === 408 || status === 409 || status === 429 || status >= 499) return 'storage_unavailable';
  return 'invalid_argument';
}

function detailsOf(code: StorageErrorCode, headers: Readonly<Record<string, string>>): StorageErrorOptions {
  const size = /^bytes \*\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  if (code === 'range_not_satisfiable') return size === undefined ? {} : { objectSize: Number(size) };
  if (code !== 'storage_unavailable') return {};
  const seconds = Math.ceil(secondsIn(headers['retry-after']));
  return { retryAfter: seconds > 0 ? seconds : 1 };
}

function messageOf(code: StorageErrorCode, { bucket = '', key = '', permission, isForbidden = false }: About): string {
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
    access_denied: isForbidden
      ? `The storage provider refused; a policy denies ${permission} to these credentials, or to requests like this one.`
      : `The storage provider refused; the credentials may lack the permission ${permission}.`,
    acl_not_supported: 'The storage provider does not support access control lists here.',
    not_supported: 'The storage provider does not support this.',
    object_archived: `The object "${key}" is archived; restore it before reading it.`,
    storage_unavailable: 'The storage provider is not available at the moment.',
  };
  return messages[code] ?? 'The storage provider failed.';
}
