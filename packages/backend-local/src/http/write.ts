import type { IncomingMessage, ServerResponse } from 'node:http';

import { defaultContentType, isContentType, noContext, sizeMismatch, storageError } from '@coffer/storage-core';
import type { Body, ObjectInfo, PutOptions } from '@coffer/storage-core';

import type { WriteGrant } from '../access.ts';
import type { LocalBackend } from '../backend.ts';
import { receiveFile } from './form.ts';
import type { Target } from './read.ts';
import { bodyOf } from './request-body.ts';

/** PUT with the raw body. */
export async function answerPut(
  backend: LocalBackend,
  { at, query }: Target,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const grant = backend.access.verifyWrite(at, query);
  const contentType = acceptedType(grant, request.headers['content-type']);
  const announced = request.headers['content-length'];
  const size = announced === undefined ? grant.size : Number(announced);
  if (size !== undefined && grant.size !== undefined && size !== grant.size) throw sizeMismatch(size, grant.size);
  const ifNoneMatch = request.headers['if-none-match'] === '*' ? '*' : undefined;
  const body: Body = { kind: 'stream', stream: bodyOf(request), ...(size !== undefined && { size }) };
  const info = await backend.put(at, body, putOptionsOf(grant, contentType, ifNoneMatch), noContext);
  response.writeHead(200, { etag: `"${info.etag}"`, 'content-length': 0 });
  response.end();
}

/** POST with a form whose fields come before the part `file`. */
export async function answerForm(backend: LocalBackend, bucket: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const info = await receiveFile(request, async ({ fields, stream, contentType }): Promise<ObjectInfo> => {
    const grant = backend.access.verifyForm(bucket, fields);
    const type = acceptedType(grant, fields.get('content-type') ?? (grant.contentType === undefined ? contentType : undefined));
    const body: Body = { kind: 'stream', stream, ...(grant.size !== undefined && { size: grant.size }) };
    return backend.put({ bucket: grant.bucket, key: grant.key }, body, putOptionsOf(grant, type), noContext);
  });
  response.writeHead(204, { etag: `"${info.etag}"` });
  response.end();
}

function acceptedType(grant: WriteGrant, given: string | undefined): string {
  if (grant.contentType !== undefined && given !== grant.contentType) {
    throw storageError('access_denied', `The upload was signed for the type "${grant.contentType}" and no other.`);
  }
  if (given === undefined) return defaultContentType;
  if (!isContentType(given)) throw storageError('invalid_argument', 'The Content-Type is not a media type.');
  return given;
}

function putOptionsOf(grant: WriteGrant, contentType: string, ifNoneMatch?: '*'): PutOptions {
  return {
    contentType,
    ...(grant.acl !== undefined && { acl: grant.acl }),
    ...(grant.storageClass !== undefined && { storageClass: grant.storageClass }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch }),
  };
}
