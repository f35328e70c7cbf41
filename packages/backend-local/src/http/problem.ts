import type { IncomingMessage, ServerResponse } from 'node:http';

import { isStorageError } from '@coffer/storage-core';
import type { StorageErrorCode } from '@coffer/storage-core';

// What can come up here; the rest is a mistake of ours.
const statusByCode: Partial<Readonly<Record<StorageErrorCode, number>>> = {
  invalid_key: 400,
  invalid_bucket_name: 400,
  invalid_argument: 400,
  access_denied: 403,
  file_not_found: 404,
  no_such_bucket: 404,
  method_not_allowed: 405,
  precondition_failed: 412,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  checksum_mismatch: 422,
  storage_unavailable: 503,
};

/** Answers with an error as application/problem+json (RFC 9457), unless an answer was begun already. */
export function sendProblem(error: unknown, _request: IncomingMessage, response: ServerResponse): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const code = isStorageError(error) ? error.code : 'internal_error';
  const status = statusByCode[code] ?? 500;
  const detail = isStorageError(error) && status < 500 ? error.message : 'The storage failed.';
  const body = JSON.stringify({ type: 'about:blank', title: code, status, code, detail });
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(isStorageError(error) && error.objectSize !== undefined && { 'content-range': `bytes */${error.objectSize}` }),
  });
  response.end(body);
}
