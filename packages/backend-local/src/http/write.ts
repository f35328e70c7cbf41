import { defaultContentType, isContentType, sizeMismatch, storageError } from '@coffer/storage-core';
import type { Body, ObjectInfo, PutOptions } from '@coffer/storage-core';
import { assertPlainBody, closeIfUnread, contentLength, requestBody, writeConditionsOf } from '@coffer/storage-core/http';

import type { WriteGrant } from '../access.ts';
import type { LocalBackend } from '../backend.ts';
import { contextFor } from './exchange.ts';
import type { Exchange, Target } from './exchange.ts';
import { receiveFile } from './form.ts';

/** PUT with the raw body. Conditions and checksums in its headers are honoured, or refused where they cannot be. */
export async function answerPut(backend: LocalBackend, { at, query }: Target, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const grant = await backend.access.verifyWrite(at, query);
  assertPlainBody(request);
  const conditions = writeConditionsOf(request.headers);
  const contentType = acceptedType(grant, request.headers['content-type']);
  const size = contentLength(request) ?? grant.size;
  if (size !== undefined && grant.size !== undefined && size !== grant.size) throw sizeMismatch(size, grant.size);
  const body: Body = { kind: 'stream', stream: requestBody(request), ...(size !== undefined && { size }) };
  const info = await backend.put(at, body, { ...putOptionsOf(grant, contentType), ...conditions }, contextFor(exchange, grant));
  response.writeHead(200, { etag: `"${info.etag}"`, 'content-length': 0 });
  response.end();
}

/** POST with a form whose fields come before the part `file`. */
export async function answerForm(backend: LocalBackend, bucket: string, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const info = await receiveFile(request, async ({ fields, stream, contentType }): Promise<ObjectInfo> => {
    const grant = await backend.access.verifyForm(bucket, fields);
    const type = acceptedType(grant, fields.get('content-type') ?? (grant.contentType === undefined ? contentType : undefined));
    const body: Body = { kind: 'stream', stream, ...(grant.size !== undefined && { size: grant.size }) };
    return backend.put({ bucket: grant.bucket, key: grant.key }, body, putOptionsOf(grant, type), contextFor(exchange, grant));
  });
  closeIfUnread(request, response);
  response.writeHead(204, { etag: `"${info.etag}"` });
  response.end();
}

function acceptedType(grant: WriteGrant, declared: string | undefined): string {
  if (grant.contentType !== undefined && declared !== grant.contentType) {
    throw storageError('access_denied', `The upload was signed for the type "${grant.contentType}" and no other.`);
  }
  if (declared === undefined) return defaultContentType;
  if (!isContentType(declared)) throw storageError('invalid_argument', 'The Content-Type is not a media type.');
  return declared;
}

function putOptionsOf(grant: WriteGrant, contentType: string): PutOptions {
  return {
    contentType,
    ...(grant.acl !== undefined && { acl: grant.acl }),
    ...(grant.storageClass !== undefined && { storageClass: grant.storageClass }),
  };
}
