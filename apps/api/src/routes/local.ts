import { z } from '@hono/zod-openapi';

import { bytes, empty, problems } from '../responses.ts';
import type { Router } from '../router.ts';
import { BucketName } from '../schemas.ts';

const bucket = BucketName.openapi({ param: { name: 'bucket', in: 'path' } });
const key = z
  .string()
  .openapi({ param: { name: 'key', in: 'path' }, description: 'May contain slashes.', example: 'uploads/document.pdf' });
const refusals = ['access_denied', 'file_not_found', 'invalid_key', 'invalid_argument', 'storage_not_configured'] as const;
const signed = 'Only with the local backend, and with the signature of a presigned URL or form.';
const tags = ['Presigned'];

/** Documents what the local backend's own handler answers below `/local/`; nothing is routed here. */
export function localPaths({ app }: Router): void {
  const { openAPIRegistry } = app;
  openAPIRegistry.registerPath({
    method: 'get',
    path: '/local/{bucket}/{key}',
    operationId: 'local.get',
    summary: 'Download through a presigned URL, or an object whose ACL lets everybody read it',
    description: 'Only with the local backend. Takes a single Range and the conditions of RFC 9110, as HEAD does.',
    tags,
    security: [],
    request: { params: z.object({ bucket, key }) },
    responses: {
      ...bytes(200, 'The object'),
      ...bytes(206, 'The range that was asked for'),
      ...empty(304, 'The copy that the client holds is current'),
      ...problems(...refusals, 'precondition_failed', 'range_not_satisfiable'),
    },
  });
  openAPIRegistry.registerPath({
    method: 'put',
    path: '/local/{bucket}/{key}',
    operationId: 'local.put',
    summary: 'Upload through a presigned URL',
    description: signed,
    tags,
    security: [],
    request: {
      params: z.object({ bucket, key }),
      body: { required: true, content: { '*/*': { schema: { type: 'string', format: 'binary' } } } },
    },
    responses: {
      ...empty(200, 'Written; the ETag is in the headers'),
      ...problems(...refusals, 'checksum_mismatch', 'precondition_failed'),
    },
  });
  openAPIRegistry.registerPath({
    method: 'post',
    path: '/local/{bucket}',
    operationId: 'local.post',
    summary: 'Upload through a presigned form',
    description: `${signed} The fields that came with it stand before the part \`file\`.`,
    tags,
    security: [],
    request: {
      params: z.object({ bucket }),
      body: {
        required: true,
        content: {
          'multipart/form-data': {
            schema: {
              type: 'object',
              required: ['key', 'file'],
              properties: { key: { type: 'string' }, file: { type: 'string', format: 'binary' } },
            },
            example: { key: 'incoming/019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d', file: 'the bytes' },
          },
        },
      },
    },
    responses: {
      ...empty(204, 'Written; the ETag is in the headers'),
      ...problems(...refusals, 'validation_failed', 'unsupported_media_type'),
    },
  });
}
