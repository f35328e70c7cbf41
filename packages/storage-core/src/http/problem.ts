import { STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';

import { isStorageError, storageError } from '../errors.ts';
import type { FieldError, StorageError, StorageErrorCode } from '../errors.ts';

/** The only place where codes become HTTP statuses; a code without one does not compile. */
export const statusByCode: Readonly<Record<StorageErrorCode, number>> = {
  storage_not_configured: 503,
  file_not_found: 404,
  no_such_bucket: 404,
  bucket_already_exists: 409,
  bucket_not_empty: 409,
  invalid_key: 400,
  invalid_bucket_name: 400,
  invalid_argument: 400,
  access_denied: 403,
  acl_not_supported: 501,
  not_supported: 501,
  connect_timeout: 504,
  read_timeout: 504,
  storage_unavailable: 503,
  object_archived: 409,
  checksum_mismatch: 422,
  range_not_satisfiable: 416,
  precondition_failed: 412,
  payload_too_large: 413,
  tenant_context_required: 400,
  tenant_mismatch: 403,
  forbidden: 403,
  unauthorized: 401,
  upload_not_found: 409,
  upload_mismatch: 422,
  upload_expired: 410,
  quota_exceeded: 413,
  tenant_not_found: 404,
  tenant_conflict: 409,
  tenant_not_empty: 409,
  validation_failed: 400,
  not_found: 404,
  method_not_allowed: 405,
  unsupported_media_type: 415,
  internal_error: 500,
};

/** RFC 9457 problem details, with Coffer's code and the request id. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: StorageErrorCode;
  readonly request_id?: string;
  readonly errors?: readonly FieldError[];
}

/** Anything thrown, as a StorageError. What is not one becomes internal_error, whose text stays inside. */
export function toStorageError(error: unknown): StorageError {
  if (isStorageError(error)) return error;
  return storageError('internal_error', 'Something went wrong on our side.', { cause: error });
}

/** An error as it is sent to the client. Internal details stay inside. */
export function problemOf(error: StorageError, requestId?: string): Problem {
  const status = statusByCode[error.code];
  const errors = error.errors ?? unlistedMistake(error);
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: error.code === 'internal_error' ? internalDetail(requestId) : error.message,
    code: error.code,
    ...(requestId !== undefined && { request_id: requestId }),
    ...(errors !== undefined && { errors }),
  };
}

/** An invalid request always has a list of mistakes, even when no field is to blame. */
function unlistedMistake({ code, message }: StorageError): readonly FieldError[] | undefined {
  return code === 'validation_failed' ? [{ field: 'request', message }] : undefined;
}

function internalDetail(requestId: string | undefined): string {
  return `Something went wrong on our side${requestId === undefined ? '.' : '; the request id names it in the logs.'}`;
}

/** Headers that go with a problem, including the content type; names in lower case. */
export function problemHeaders(error: StorageError): Record<string, string> {
  return {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(error.code === 'unauthorized' && { 'www-authenticate': 'Bearer' }),
    ...(error.code === 'range_not_satisfiable' && error.objectSize !== undefined && { 'content-range': `bytes */${error.objectSize}` }),
    ...(statusByCode[error.code] === 503 && { 'retry-after': String(error.retryAfter ?? 5) }),
  };
}

/** Sends a problem without any framework. A response that has already begun is cut off instead. */
export function sendProblem(response: ServerResponse, thrown: unknown, requestId?: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const error = toStorageError(thrown);
  const problem = problemOf(error, requestId);
  const body = JSON.stringify(problem);
  response.writeHead(problem.status, { ...problemHeaders(error), 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** One error (validation_failed) for several mistakes in a request. */
export function validationFailed(errors: readonly FieldError[]): StorageError {
  const text = errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
  return storageError('validation_failed', text, { errors });
}
