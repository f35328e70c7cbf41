import { z } from '@hono/zod-openapi';

import { bodySchema } from '../../body-schemas.ts';
import { fileExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { answerJson, bucketErrors, json, jsonBodyErrors, problems, providerErrors, tenantErrors } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { ContentType, Filename, Subject } from '../../request-schemas.ts';
import { Count, FileSchema } from '../../schemas.ts';
import { scopeOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { fileView } from '../../views.ts';
import { FileId, Metadata } from './schemas.ts';
import { assertOwner } from './upload.ts';

const access: Access = { role: 'user', needsStorage: true };

const PresignedUploadSchema = z
  .object({
    file_id: z.uuid(),
    method: z.enum(['POST', 'PUT']),
    upload_url: z.url(),
    upload_fields: z
      .record(z.string(), z.string())
      .openapi({ description: 'Fields of the form, to send before its part `file`; empty for PUT.' }),
    upload_headers: z.record(z.string(), z.string()).openapi({ description: 'Headers to send with the bytes.' }),
    expires_in: z.int().openapi({ description: 'Seconds.', example: 3600 }),
  })
  .openapi('PresignedUpload');

const presignedUploadExample: z.output<typeof PresignedUploadSchema> = {
  file_id: fileExample.id,
  method: 'POST',
  upload_url: 'https://acme-uploads.s3.us-east-1.amazonaws.com/',
  upload_fields: {
    key: `incoming/${fileExample.id}`,
    'Content-Type': fileExample.content_type,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': 'AKIAIOSFODNN7EXAMPLE/20260115/us-east-1/s3/aws4_request',
    'x-amz-date': '20260115T103000Z',
    policy: 'eyJleHBpcmF0aW9uIjoi…',
    'x-amz-signature': 'a1b2c3…',
  },
  upload_headers: {},
  expires_in: 3600,
};

/** Uploads that go straight to the provider: request a form, send the bytes there, complete. */
export function presignedUploadRoutes(router: Router, services: Services): void {
  const { files } = services.runtime;

  router.add({
    method: 'post',
    path: '/api/v1/files/presigned-upload',
    collection: true,
    operationId: 'files.presignUpload',
    summary: 'Request a presigned upload',
    description:
      'What the answer contains works for one key, this exact size and this exact type, until it expires. S3 takes at most 5 GiB in one ' +
      'upload: more is `payload_too_large`, but the local backend has no limit.',
    access,
    tags: ['Files'],
    request: {
      json: bodySchema({
        filename: Filename,
        content_type: ContentType,
        size_bytes: Count,
        is_public: z.boolean().optional(),
        owner_id: Subject.optional(),
        sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits')
          .optional()
          .openapi({ description: 'Of the bytes; verified when the upload is completed.' }),
        metadata: Metadata.optional(),
      }).openapi({ example: { filename: 'report.pdf', content_type: 'application/pdf', size_bytes: 1_024_000 } }),
    },
    responses: {
      ...json(201, PresignedUploadSchema, { description: 'Where and how to send the bytes', example: presignedUploadExample }),
      ...problems(...bucketErrors, 'quota_exceeded', ...jsonBodyErrors),
    },
    handler: async (c, { json: body }) => {
      const scope = await scopeOf(c, services);
      assertOwner(scope, body.owner_id);
      const upload = await files.createPresignedUpload(
        {
          filename: body.filename,
          contentType: body.content_type,
          sizeBytes: body.size_bytes,
          ownerId: body.owner_id ?? scope.access.subject,
          isPublic: body.is_public,
          sha256: body.sha256,
          metadata: body.metadata,
          tenantContext: scope.tenant,
        },
        scope.ctx,
      );
      return answerJson(
        c,
        {
          file_id: upload.fileId,
          method: upload.method,
          upload_url: upload.uploadUrl,
          upload_fields: upload.uploadFields,
          upload_headers: upload.uploadHeaders,
          expires_in: upload.expiresIn,
        },
        201,
      );
    },
  });

  router.add({
    method: 'post',
    path: '/api/v1/files/{id}/complete',
    operationId: 'files.complete',
    summary: 'Complete a presigned upload',
    description:
      'Verifies the upload against what was declared and makes it final. Can be repeated. `upload_not_found`: nothing has arrived yet. ' +
      '`upload_mismatch`: something else has arrived, and the upload has failed for good. `upload_expired`: nothing arrived before the expiry.',
    access,
    tags: ['Files'],
    request: { params: FileId },
    responses: {
      ...json(200, FileSchema, { description: 'The record of the stored file', example: fileExample }),
      ...problems(
        ...tenantErrors,
        ...providerErrors,
        'file_not_found',
        'no_such_bucket',
        'upload_not_found',
        'upload_mismatch',
        'upload_expired',
        'object_archived',
      ),
    },
    handler: async (c, { params }) => {
      const scope = await scopeOf(c, services);
      return answerJson(c, fileView(await files.completeUpload(params.id, scope.access, scope.ctx)));
    },
  });
}
