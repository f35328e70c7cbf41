/** Every error code of Coffer. HTTP statuses exist only in a table over this type: `statusByCode` of `@coffer/storage-core/http`. */
export type StorageErrorCode =
  | 'storage_not_configured'
  | 'file_not_found'
  | 'no_such_bucket'
  | 'bucket_already_exists'
  | 'bucket_not_empty'
  | 'invalid_key'
  | 'invalid_bucket_name'
  | 'invalid_argument'
  | 'access_denied'
  | 'acl_not_supported'
  | 'not_supported'
  | 'connect_timeout'
  | 'read_timeout'
  | 'storage_unavailable'
  | 'object_archived'
  | 'checksum_mismatch'
  | 'range_not_satisfiable'
  | 'precondition_failed'
  | 'payload_too_large'
  | 'tenant_context_required'
  | 'tenant_mismatch'
  | 'forbidden'
  | 'unauthorized'
  | 'upload_not_found'
  | 'upload_mismatch'
  | 'upload_expired'
  | 'quota_exceeded'
  | 'tenant_not_found'
  | 'tenant_conflict'
  | 'tenant_not_empty'
  | 'validation_failed'
  | 'not_found'
  | 'method_not_allowed'
  | 'unsupported_media_type'
  | 'internal_error';

/** One mistake in one field of a request. */
export interface FieldError {
  /** Its name on the wire; `request` when no field is to blame. */
  readonly field: string;
  readonly message: string;
}

/** What a StorageError holds besides code and message. */
export interface StorageErrorOptions {
  /** The original, such as the provider's own error; never shown to callers. */
  readonly cause?: unknown;
  /** Whether the same call may succeed later. Default: true for timeouts and an unavailable provider. */
  readonly retryable?: boolean;
  /** Seconds after which a retry makes sense. */
  readonly retryAfter?: number;
  /** Whether the call may have been carried out, or may yet be: an earlier attempt, whose answer got lost, was not refused. */
  readonly inDoubt?: boolean;
  /** The mistakes of a request, for validation_failed. */
  readonly errors?: readonly FieldError[];
  /** Size of the object in bytes, for errors about a range of it. */
  readonly objectSize?: number;
}

// A symbol from the global registry, so that two copies of this package in one process recognise each other's errors.
const brand = Symbol.for('@coffer/storage-error');
const retryableCodes: ReadonlySet<StorageErrorCode> = new Set(['connect_timeout', 'read_timeout', 'storage_unavailable']);

/** Base class of all errors. `message` is safe to show to a caller; the provider's own error is in `cause`. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  // Only declared, so that an error has no fields beyond those it was given.
  /** Seconds after which a retry makes sense. */
  declare readonly retryAfter?: number;
  /** Whether the call may have been carried out, or may yet be, although its last attempt was refused. Retryable errors never rule it out. */
  declare readonly inDoubt?: boolean;
  /** The mistakes of a request, for validation_failed. */
  declare readonly errors?: readonly FieldError[];
  /** Size of the object in bytes, for range_not_satisfiable. */
  declare readonly objectSize?: number;

  constructor(code: StorageErrorCode, message: string, options: StorageErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target === StorageError ? 'StorageError' : new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? retryableCodes.has(code);
    if (options.retryAfter !== undefined) this.retryAfter = options.retryAfter;
    if (options.inDoubt !== undefined) this.inDoubt = options.inDoubt;
    if (options.errors !== undefined) this.errors = options.errors;
    if (options.objectSize !== undefined) this.objectSize = options.objectSize;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether `value` is a StorageError of this copy of the package or of another one in the process, for which `instanceof` is false. */
export function isStorageError(value: unknown): value is StorageError {
  return typeof value === 'object' && value !== null && brand in value;
}

/** Whether `value` is a StorageError with one of these codes, from any copy of the package. */
export function hasCode<C extends StorageErrorCode>(value: unknown, ...codes: readonly C[]): value is StorageError & { readonly code: C } {
  return isStorageError(value) && (codes as readonly StorageErrorCode[]).includes(value.code);
}

// Names are written out because minifiers rename classes.
/** No bucket to use, or no service set. */
export class StorageNotConfiguredError extends StorageError {
  override name = 'StorageNotConfiguredError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('storage_not_configured', message, options);
  }
}
/** The object, or the record of a file, does not exist. */
export class StorageFileNotFoundError extends StorageError {
  override name = 'StorageFileNotFoundError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('file_not_found', message, options);
  }
}
/** The bucket does not exist. */
export class NoSuchBucketError extends StorageError {
  override name = 'NoSuchBucketError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('no_such_bucket', message, options);
  }
}
/** The bucket to create already exists. */
export class BucketAlreadyExistsError extends StorageError {
  override name = 'BucketAlreadyExistsError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('bucket_already_exists', message, options);
  }
}
/** The bucket to delete holds objects, and `force` was not given. */
export class BucketNotEmptyError extends StorageError {
  override name = 'BucketNotEmptyError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('bucket_not_empty', message, options);
  }
}
/** The key breaks the rules for keys, or the provider refuses it. */
export class InvalidKeyError extends StorageError {
  override name = 'InvalidKeyError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('invalid_key', message, options);
  }
}
/** The bucket name breaks the rules. */
export class InvalidBucketNameError extends StorageError {
  override name = 'InvalidBucketNameError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('invalid_bucket_name', message, options);
  }
}
/** Any other invalid argument, including a body whose length differs from the announced one. */
export class InvalidArgumentError extends StorageError {
  override name = 'InvalidArgumentError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('invalid_argument', message, options);
  }
}
/** The provider refused; the message hints at the missing permission. */
export class AccessDeniedError extends StorageError {
  override name = 'AccessDeniedError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('access_denied', message, options);
  }
}
/** The backend, or the server behind it, does not support such ACLs. */
export class AclNotSupportedError extends StorageError {
  override name = 'AclNotSupportedError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('acl_not_supported', message, options);
  }
}
/** The backend lacks the ability. */
export class NotSupportedError extends StorageError {
  override name = 'NotSupportedError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('not_supported', message, options);
  }
}
/** No connection to the provider in time. Retryable. */
export class ConnectTimeoutError extends StorageError {
  override name = 'ConnectTimeoutError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('connect_timeout', message, options);
  }
}
/** The provider, or the reader of an open body, made no progress in time. Retryable. */
export class ReadTimeoutError extends StorageError {
  override name = 'ReadTimeoutError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('read_timeout', message, options);
  }
}
/** The provider is down or throttling, even after retries. Retryable unless `retryable` says otherwise; `retryAfter` is in seconds. */
export class StorageUnavailableError extends StorageError {
  override name = 'StorageUnavailableError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('storage_unavailable', message, options);
  }
}
/** The object must be restored from an archive before it can be read. */
export class ObjectArchivedError extends StorageError {
  override name = 'ObjectArchivedError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('object_archived', message, options);
  }
}
/** The bytes do not have the declared checksum; nothing was written. */
export class ChecksumMismatchError extends StorageError {
  override name = 'ChecksumMismatchError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('checksum_mismatch', message, options);
  }
}
/** The call must name its tenant, and does not. */
export class TenantContextRequiredError extends StorageError {
  override name = 'TenantContextRequiredError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('tenant_context_required', message, options);
  }
}
/** The call names a tenant other than the one it is made for. */
export class TenantMismatchError extends StorageError {
  override name = 'TenantMismatchError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('tenant_mismatch', message, options);
  }
}
/** The file exceeds what is left of the tenant's quota. */
export class QuotaExceededError extends StorageError {
  override name = 'QuotaExceededError';
  constructor(message: string, options?: StorageErrorOptions) {
    super('quota_exceeded', message, options);
  }
}

const classes: Partial<Record<StorageErrorCode, new (message: string, options?: StorageErrorOptions) => StorageError>> = {
  storage_not_configured: StorageNotConfiguredError,
  file_not_found: StorageFileNotFoundError,
  no_such_bucket: NoSuchBucketError,
  bucket_already_exists: BucketAlreadyExistsError,
  bucket_not_empty: BucketNotEmptyError,
  invalid_key: InvalidKeyError,
  invalid_bucket_name: InvalidBucketNameError,
  invalid_argument: InvalidArgumentError,
  access_denied: AccessDeniedError,
  acl_not_supported: AclNotSupportedError,
  not_supported: NotSupportedError,
  connect_timeout: ConnectTimeoutError,
  read_timeout: ReadTimeoutError,
  storage_unavailable: StorageUnavailableError,
  object_archived: ObjectArchivedError,
  checksum_mismatch: ChecksumMismatchError,
  tenant_context_required: TenantContextRequiredError,
  tenant_mismatch: TenantMismatchError,
  quota_exceeded: QuotaExceededError,
};

/** Creates the error for this code, using the code's own class if there is one. */
export function storageError(code: StorageErrorCode, message: string, options?: StorageErrorOptions): StorageError {
  const Class = classes[code];
  return Class === undefined ? new StorageError(code, message, options) : new Class(message, options);
}
