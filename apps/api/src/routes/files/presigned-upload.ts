import { z } from '@hono/zod-openapi';

import { isContentType } from '@coffer/storage-core';

import { answerJson, badJson, json, problems, scoped } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { FileSchema, Filename, plainText } from '../../schemas.ts';
import { scopeOf, tenantContextOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { fileView } from '../../views.ts';
import { FileId, Metadata } from './schemas.ts';
import { assertOwner } from './upload.ts';
import type { Access } from '../../guard.ts';

const access: Access = { role: 'user', needsStorage: true };

const PresignedUploadSchema = z
  .object({
    file_id: z.uuid(),
    method: z.enum(['POST', 'PUT']),
    upload_url: z.url(),
    upload_fields: z.record(z.string(), z.string()).openapi({ description: 'Fields of the form, before its part `file`; empty for PUT.' }),
    upload_headers: z.record(z.string(), z.string()).openapi({ description: 'Headers to send with the bytes.' }),
    expires_in: z.int().openapi({ description: 'Seconds.', example: 3600 }),
  })
  .openapi('PresignedUpload');

/** Uploads that go straight to the provider: ask for a form, send the bytes there, complete. */
export function presignedUploadRoutes(router: Router, services: Services): void {
  const { files } = services.runtime;

  router.add({
    method: 'post',
    path: '/api/v1/files/presigned-upload',
    collection: true,
    operationId: 'files.presignUpload',
    summary: 'Ask for a presigned upload',
    description: 'The answer binds one key, this exact size and this exact type, until it expires.',
    access,
    tags: ['Files'],
    request: {
      json: z.object({
        filename: Filename,
        content_type: z.string().refine(isContentType, 'a media type such as application/pdf').openapi({ example: 'application/pdf' }),
        size_bytes: z.int().min(0).openapi({ example: 1_024_000 }),
        is_public: z.boolean().optional(),
        owner_id: plainText(255).optional(),
        sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits')
          .optional(),
        metadata: Metadata.optional(),
      }),
    },
    responses: {
      ...json(201, PresignedUploadSchema, 'Where and how to send the bytes'),
      ...problems(...scoped, 'quota_exceeded', ...badJson, 'not_supported', 'no_such_bucket'),
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
          ...(body.is_public !== undefined && { isPublic: body.is_public }),
          ...(body.sha256 !== undefined && { sha256: body.sha256 }),
          ...(body.metadata !== undefined && { metadata: body.metadata }),
          ...(scope.tenant !== undefined && { tenantContext: tenantContextOf(scope.tenant) }),
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
    description: 'Verifies what arrived against what was declared and makes it final. May be repeated.',
    access,
    tags: ['Files'],
    request: { params: FileId },
    responses: {
      ...json(200, FileSchema, 'The record of the stored file'),
      ...problems(...scoped, 'file_not_found', 'upload_not_found', 'upload_mismatch', 'upload_expired', 'no_such_bucket'),
    },
    handler: async (c, { params }) => {
      const scope = await scopeOf(c, services);
      return answerJson(c, fileView(await files.completeUpload(params.id, scope.access, scope.ctx)));
    },
  });
}
