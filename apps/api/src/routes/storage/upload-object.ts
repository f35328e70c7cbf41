import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { z } from '@hono/zod-openapi';

import { isContentType, storageError } from '@coffer/storage-core';
import type { CallContext, ObjectInfo, UploadFile } from '@coffer/storage-core';
import {
  assertPlainBody,
  contentLength,
  payloadTooLarge,
  readBody,
  requestBody,
  smallBodyBytes,
  validationFailed,
  writeConditionsOf,
} from '@coffer/storage-core/http';

import type { AppContext } from '../../app-env.ts';
import { formFields } from '../../body-schemas.ts';
import { writeHeaders, writtenHeaders } from '../../documented-headers.ts';
import { objectExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { openForm } from '../../http/form.ts';
import type { UploadForm } from '../../http/form.ts';
import { spool } from '../../http/spool.ts';
import { answerJson, bucketErrors, json, problems } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { CannedAclSchema, ChosenBucket, StorageClassName } from '../../request-schemas.ts';
import { anyBytes, ObjectSchema } from '../../schemas.ts';
import { bucketOf, scopeOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { objectView } from '../../views.ts';
import { keyOf, keyParam, objectPath } from './object-key.ts';

const access: Access = { role: 'service', needsStorage: true };

const placement = z.object({
  bucket: ChosenBucket,
  acl: CannedAclSchema.optional().openapi({ param: { description: 'Who may read the object. Default: the configured ACL.' } }),
  storage_class: StorageClassName.optional(),
});
type Placement = z.output<typeof placement>;
const placementFields = placement.keyof().options;

const errors = [
  ...bucketErrors,
  'invalid_key',
  'invalid_bucket_name',
  'payload_too_large',
  'checksum_mismatch',
  'precondition_failed',
  'acl_not_supported',
  'unsupported_media_type',
] as const;

/** Writes objects from a form or a raw body, which is the fast path. */
export function uploadObjectRoutes(router: Router, services: Services): void {
  const { config, storage } = services.runtime;
  const { maxUploadBytes } = config.storage;

  router.add({
    method: 'put',
    path: objectPath,
    operationId: 'objects.put',
    summary: 'Upload an object as a raw body',
    description:
      'The body is the object, and `Content-Type` its type; without one, the ending of the key decides. `If-None-Match: *` writes only ' +
      'if no object with this key exists. A checksum sent as `x-amz-checksum-sha256`, `Content-MD5`, `Digest`, `Content-Digest` or ' +
      '`Repr-Digest` is verified.',
    access,
    tags: ['Objects'],
    request: {
      params: keyParam,
      query: placement,
      headers: writeHeaders,
      body: anyBytes,
    },
    responses: {
      ...json(201, ObjectSchema, { description: 'The object as it was written', example: objectExample, headers: writtenHeaders }),
      ...problems(...errors),
    },
    handler: async (c, { query: { bucket: explicit, ...placed } }) => {
      const key = keyOf(c);
      const { incoming } = c.env;
      assertPlainBody(incoming);
      const size = contentLength(incoming);
      if (size !== undefined && size > maxUploadBytes) throw payloadTooLarge(maxUploadBytes);
      const conditions = writeConditionsOf(c.env.incoming.headers);
      const contentType = assertContentType(incoming.headers['content-type']);
      const scope = await scopeOf(c, services);
      const bucket = await bucketOf(scope, services, explicit);
      const isSmall = size !== undefined && size <= smallBodyBytes;
      const body = isSmall ? await readBody(incoming, maxUploadBytes) : requestBody(incoming, maxUploadBytes);
      const request = { key, bucket, body, size, contentType, ...conditions, ...placementOptions(placed) };
      return answer(c, await storage.uploadFile(request, scope.ctx));
    },
  });

  router.add({
    method: 'post',
    path: objectPath,
    operationId: 'objects.upload',
    summary: 'Upload an object as a form',
    description:
      'The `Content-Type` of the part `file` is the type of the object. The parts may come in any order; if the other parts come before ' +
      '`file`, it streams straight to its place. Parts must not contradict the query.',
    access,
    tags: ['Objects'],
    request: {
      params: keyParam,
      query: placement,
      headers: writeHeaders,
      body: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            required: ['file'],
            properties: {
              // No `example`, for the reason given at ChosenBucket. A field may be empty, which counts as omitted.
              bucket: {
                type: 'string',
                maxLength: 63,
                pattern: '^(?:[a-z0-9][a-z0-9-]+[a-z0-9])?$',
                description:
                  "Name of a bucket. Default: the tenant's bucket, or else the shared or the default one. Such as `acme-uploads`.",
              },
              acl: { $ref: '#/components/schemas/CannedAcl' },
              storage_class: { type: 'string', maxLength: 64, pattern: '^[!-~]*$', description: 'Such as `STANDARD`.' },
              file: { type: 'string', format: 'binary' },
            },
          },
        },
      },
    },
    responses: {
      ...json(201, ObjectSchema, { description: 'The object as it was written', example: objectExample, headers: writtenHeaders }),
      ...problems(...errors),
    },
    handler: async (c, { query }) => {
      const key = keyOf(c);
      const conditions = writeConditionsOf(c.env.incoming.headers);
      const scope = await scopeOf(c, services);
      const form = await openForm(c.env.incoming, { maxFileBytes: maxUploadBytes, fieldNames: placementFields });
      try {
        const contentType = assertContentType(form.contentType);
        const write = async (body: Buffer | Readable, size?: number): Promise<ObjectInfo> => {
          const { bucket: explicit, ...placed } = placementOf(form.fields, query);
          const bucket = await bucketOf(scope, services, explicit);
          return storage.uploadFile({ key, bucket, body, size, contentType, ...conditions, ...placementOptions(placed) }, scope.ctx);
        };
        const { file } = form;
        if (Buffer.isBuffer(file) || placementFields.every((field) => form.fields.has(field))) return answer(c, await write(file));
        // Fields that decide where the bytes go may still follow the file; those that have arrived are checked first.
        const { bucket: explicit } = placementOf(form.fields, query);
        if (explicit !== undefined) await assertBucket(await bucketOf(scope, services, explicit), scope.ctx);
        const spooled = await spool(file, join(config.dataDir, 'spool'));
        try {
          return answer(c, await write(spooled.body, spooled.size));
        } finally {
          await spooled.release();
        }
      } finally {
        form.close();
      }
    },
  });

  /** Ignores errors of the provider here, since the write itself will report them. @throws no_such_bucket */
  async function assertBucket(bucket: string, ctx: CallContext): Promise<void> {
    const exists = await storage.bucketExists(bucket, ctx).catch(() => true);
    if (!exists) throw storageError('no_such_bucket', `There is no bucket "${bucket}".`);
  }
}

/** @throws validation_failed for a field that is invalid or contradicts the query */
function placementOf(fields: UploadForm['fields'], query: Placement): Placement {
  const data = formFields(placement, fields);
  const conflicting = placementFields.find((name) => data[name] !== undefined && query[name] !== undefined && data[name] !== query[name]);
  if (conflicting !== undefined) throw validationFailed([{ field: conflicting, message: 'contradicts the query' }]);
  return { ...query, ...data };
}

function placementOptions({ acl, storage_class: storageClass }: Placement): Pick<UploadFile, 'acl' | 'storageClass'> {
  return { acl, storageClass };
}

function assertContentType(type: string | undefined): string | undefined {
  if (type !== undefined && !isContentType(type)) throw validationFailed([{ field: 'Content-Type', message: 'is not a media type' }]);
  return type;
}

function answer(c: AppContext, object: ObjectInfo): Response {
  return answerJson(c, objectView(object), 201, { etag: `"${object.etag}"` });
}
