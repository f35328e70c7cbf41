import { z } from '@hono/zod-openapi';

import { readHeaders, unchangedFileHeaders, writeHeaders, writtenHeaders } from '../documented-headers.ts';
import { empty, objectAnswers, problems } from '../responses.ts';
import type { Router } from '../router.ts';
import { BucketName, ObjectKey } from '../request-schemas.ts';
import { anyBytes } from '../schemas.ts';
import type { Access } from '../guard.ts';

const access: Access = { role: 'anybody', needsStorage: true };

const inBucket = z.object({ bucket: BucketName.openapi({ param: { name: 'bucket', in: 'path' } }) });
const ofKey = inBucket.extend({
  key: ObjectKey.openapi({ param: { name: 'key', in: 'path' }, description: 'May contain slashes.' }),
});
/** With another backend, these paths are `not_found`. */
const commonErrors = [
  'access_denied',
  'not_found',
  'no_such_bucket',
  'invalid_bucket_name',
  'invalid_argument',
  'storage_not_configured',
  'storage_unavailable',
] as const;
const localOnlyNote = 'Only with the local backend; 404 `not_found` with any other.';
const signatureNote = `${localOnlyNote} Needs the signature of a presigned URL or form.`;
const tags = ['Presigned'];

/** Documents what the local backend's own handler answers below `/local/`; nothing is routed here. */
export function localPaths(router: Router): void {
  router.describe({
    method: 'get',
    path: '/local/{bucket}/{key}',
    operationId: 'local.get',
    summary: 'Download through a presigned URL, or download an object whose ACL lets everyone read it',
    description: `${localOnlyNote} Accepts a single Range and the conditions of RFC 9110. HEAD answers the same without the body.`,
    head: true,
    tags,
    access,
    request: { params: ofKey, headers: readHeaders },
    responses: {
      ...objectAnswers('object', unchangedFileHeaders),
      ...problems(...commonErrors, 'file_not_found', 'invalid_key', 'precondition_failed', 'range_not_satisfiable'),
    },
  });
  router.describe({
    method: 'put',
    path: '/local/{bucket}/{key}',
    operationId: 'local.put',
    summary: 'Upload through a presigned URL',
    description: `${signatureNote} A checksum sent as \`Content-MD5\`, \`x-amz-checksum-sha256\`, \`Digest\`, \`Content-Digest\` or \`Repr-Digest\` is verified.`,
    tags,
    access,
    request: { params: ofKey, headers: writeHeaders, body: anyBytes },
    responses: {
      ...empty(200, 'Written', writtenHeaders),
      ...problems(
        ...commonErrors,
        'invalid_key',
        'precondition_failed',
        'checksum_mismatch',
        'validation_failed',
        'unsupported_media_type',
      ),
    },
  });
  router.describe({
    method: 'post',
    path: '/local/{bucket}',
    operationId: 'local.post',
    summary: 'Upload through a presigned form',
    description: `${signatureNote} Send the fields that came with the form before the part \`file\`.`,
    tags,
    access,
    request: {
      params: inBucket,
      body: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            // The forms of the files API have all of these. Generated clients send them in this order, the file last; some send optional
            // fields after the required ones, and fields after the file are ignored.
            required: ['key', 'Content-Type', 'policy', 'x-coffer-signature', 'file'],
            properties: {
              key: { type: 'string', example: 'incoming/019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d' },
              'Content-Type': { type: 'string', example: 'application/pdf' },
              policy: { type: 'string' },
              'x-coffer-signature': { type: 'string' },
              file: { type: 'string', format: 'binary' },
            },
          },
        },
      },
    },
    responses: {
      ...empty(204, 'Written', writtenHeaders),
      ...problems(...commonErrors, 'validation_failed', 'unsupported_media_type'),
    },
  });
}
