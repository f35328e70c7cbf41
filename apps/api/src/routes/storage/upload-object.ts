import { join } from 'node:path';

import { z } from '@hono/zod-openapi';

import type { CannedAcl } from '@coffer/storage-core';

import { contentLength, cutAfter, payloadTooLarge } from '../../http/body-limit.ts';
import { declaredChecksums } from '../../http/checksums.ts';
import { openForm } from '../../http/form.ts';
import type { UploadForm } from '../../http/form.ts';
import { spool } from '../../http/spool.ts';
import { validationFailed } from '../../problem.ts';
import { guarded, json, problems } from '../../responses.ts';
import type { AppContext, Router } from '../../router.ts';
import { BucketName, CannedAclSchema, ObjectSchema } from '../../schemas.ts';
import { bucketOf, scopeOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { objectView } from '../../views.ts';
import { keyOf } from './object-key.ts';
import { keyParam } from './objects.ts';

const placement = z.object({
  bucket: BucketName.optional(),
  acl: CannedAclSchema.optional(),
  storage_class: z.string().min(1).max(64).optional().openapi({ example: 'STANDARD' }),
});
type Placement = z.output<typeof placement>;
const placementFields = ['bucket', 'acl', 'storage_class'] as const;

const errors = [
  ...guarded,
  'no_such_bucket',
  'invalid_key',
  'invalid_bucket_name',
  'invalid_argument',
  'tenant_context_required',
  'validation_failed',
  'payload_too_large',
  'checksum_mismatch',
  'precondition_failed',
  'access_denied',
  'acl_not_supported',
] as const;

/** Writing objects: as a form, or raw, which is the fast path. */
export function uploadObjectRoutes(router: Router, services: Services): void {
  const { config, storage } = services.runtime;
  const { maxUploadBytes } = config.storage;

  router.add({
    method: 'put',
    path: '/api/v1/storage/objects/{key}',
    pattern: '/api/v1/storage/objects/:key{.+}',
    operationId: 'objects.put',
    summary: 'Upload an object, raw',
    description:
      'The body is the object. `If-None-Match: *` writes only if there is none of this key. A checksum sent as ' +
      '`x-amz-checksum-sha256`, `Content-MD5`, `Digest` or `Content-Digest` is verified.',
    tags: ['Objects'],
    request: { params: keyParam, query: placement, body: { '*/*': { schema: { type: 'string', format: 'binary' } } } },
    responses: { ...json(201, ObjectSchema, 'The object as it was written'), ...problems(...errors) },
    handler: async (c, { query }) => {
      const key = keyOf(c);
      const { incoming } = c.env;
      const size = contentLength(incoming);
      if (size !== undefined && size > maxUploadBytes) throw payloadTooLarge(maxUploadBytes);
      const scope = await scopeOf(c, services);
      const bucket = await bucketOf(scope, services, query.bucket);
      if (size === undefined) cutAfter(incoming, maxUploadBytes);
      const contentType = incoming.headers['content-type'];
      const object = await storage.uploadFile(
        { key, bucket, body: incoming, ...(size !== undefined && { size }), ...(contentType !== undefined && { contentType }), ...writeOptions(c, query) },
        scope.ctx,
      );
      return answer(c, object);
    },
  });

  router.add({
    method: 'post',
    path: '/api/v1/storage/objects/{key}',
    pattern: '/api/v1/storage/objects/:key{.+}',
    operationId: 'objects.upload',
    summary: 'Upload an object as a form',
    description: 'The parts may come in any order; those before `file` let it stream straight to its place.',
    tags: ['Objects'],
    request: {
      params: keyParam,
      body: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            required: ['file'],
            properties: {
              bucket: { type: 'string', example: 'acme-uploads' },
              acl: { type: 'string', example: 'private' },
              storage_class: { type: 'string', example: 'STANDARD' },
              file: { type: 'string', format: 'binary' },
            },
          },
        },
      },
    },
    responses: { ...json(201, ObjectSchema, 'The object as it was written'), ...problems(...errors, 'unsupported_media_type') },
    handler: async (c) => {
      const key = keyOf(c);
      const scope = await scopeOf(c, services);
      const form = await openForm(c.env.incoming, maxUploadBytes);
      const write = async (body: Parameters<typeof storage.uploadFile>[0]['body'], size: number | undefined) => {
        const asked = placementOf(form.fields);
        const bucket = await bucketOf(scope, services, asked.bucket);
        return storage.uploadFile(
          {
            key,
            bucket,
            body,
            ...(size !== undefined && { size }),
            ...(form.contentType !== undefined && { contentType: form.contentType }),
            ...writeOptions(c, asked),
          },
          scope.ctx,
        );
      };
      try {
        if (placementFields.every((field) => form.fields.has(field))) {
          const object = await write(form.file, undefined);
          await form.rest();
          return answer(c, object);
        }
        // A field that says where the bytes go may still follow them.
        const spooled = await spool(form.file, join(config.dataDir, 'spool'));
        try {
          await form.rest();
          return answer(c, await write(spooled.body, spooled.size));
        } finally {
          await spooled.release();
        }
      } finally {
        form.file.destroy();
      }
    },
  });
}

function placementOf(fields: UploadForm['fields']): Placement {
  const result = placement.safeParse(Object.fromEntries([...fields].filter(([, value]) => value !== '')));
  if (result.success) return result.data;
  throw validationFailed(result.error.issues.map((issue) => ({ field: issue.path.join('.'), message: issue.message })));
}

function writeOptions(c: AppContext, { acl, storage_class: storageClass }: Placement) {
  const { headers } = c.env.incoming;
  const ifNoneMatch = headers['if-none-match'];
  const ifMatch = headers['if-match'];
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== '*') {
    throw validationFailed([{ field: 'If-None-Match', message: 'a write takes only "*"' }]);
  }
  return {
    ...declaredChecksums(headers),
    ...(acl !== undefined && { acl: acl satisfies CannedAcl }),
    ...(storageClass !== undefined && { storageClass }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: '*' as const }),
    ...(ifMatch !== undefined && { ifMatch: ifMatch.trim().replaceAll(/^"|"$/g, '') }),
  };
}

function answer(c: AppContext, object: Parameters<typeof objectView>[0]): Response {
  return c.json(objectView(object), 201, { etag: `"${object.etag}"` });
}
