import { storageError } from '@coffer/storage-core';
import { declaredChecksums } from '@coffer/storage-core/http';

import { checksumHeaders } from '../../documented-headers.ts';
import { fileExample } from '../../examples.ts';
import { openForm } from '../../http/form.ts';
import { answerJson, bucketErrors, json, problems } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { plain } from '../../request-schemas.ts';
import { FileSchema } from '../../schemas.ts';
import { scopeOf } from '../../scope.ts';
import type { Scope } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { fileView } from '../../views.ts';
import { fieldNames, metadataRules, uploadFieldsOf } from './schemas.ts';
import type { Access } from '../../guard.ts';

const access: Access = { role: 'user', needsStorage: true };

/** Only admins and services may name an owner other than the token's subject. @throws forbidden */
export function assertOwner({ access }: Scope, ownerId: string | undefined): void {
  if (ownerId !== undefined && ownerId !== access.subject && access.role === 'user') {
    throw storageError('forbidden', 'Only an admin or a service may name another owner.');
  }
}

export function uploadRoute(router: Router, services: Services): void {
  const { config, files } = services.runtime;
  const { maxUploadBytes } = config.storage;

  router.add({
    method: 'post',
    path: '/api/v1/files/upload',
    collection: true,
    operationId: 'files.upload',
    summary: 'Upload a file',
    description:
      "Streams into the tenant's bucket, or else the shared or the default one; the parts may come in any order. The declared type of the file is kept, unless its first bytes clearly show another. A checksum sent as `x-amz-checksum-sha256` or `Content-MD5` is verified against the file.",
    access,
    tags: ['Files'],
    request: {
      headers: checksumHeaders,
      body: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            required: ['file'],
            properties: {
              file: { type: 'string', format: 'binary' },
              // No `example`: /docs would send it unasked, and only an admin or a service may name another owner.
              owner_id: {
                type: 'string',
                maxLength: 255,
                pattern: plain,
                description: 'Default: the subject of the token. Only an admin or a service may name another owner. Such as `user-123`.',
              },
              is_public: { type: 'boolean', default: false },
              metadata: { type: 'string', description: metadataRules, example: '{"project":"apollo"}' },
            },
          },
        },
      },
    },
    responses: {
      ...json(201, FileSchema, { description: 'The record of the stored file', example: fileExample }),
      ...problems(...bucketErrors, 'payload_too_large', 'quota_exceeded', 'unsupported_media_type', 'checksum_mismatch', 'file_not_found'),
    },
    handler: async (c) => {
      const { incoming } = c.env;
      const scope = await scopeOf(c, services);
      const checksums = declaredChecksums(incoming.headers);
      const form = await openForm(incoming, { maxFileBytes: maxUploadBytes, fieldNames });
      try {
        // Fields before the file are checked before a byte is stored.
        const early = uploadFieldsOf(form.fields);
        const { size: seen } = form.fields;
        assertOwner(scope, early.ownerId);
        const record = await files.uploadFile(
          {
            body: form.file,
            filename: form.filename ?? 'file',
            contentType: form.contentType,
            sizeHint: form.sizeHint,
            ...checksums,
            ownerId: scope.access.subject,
            tenantContext: scope.tenant,
            late: async () => {
              const fields = form.fields.size === seen ? early : uploadFieldsOf(form.fields);
              assertOwner(scope, fields.ownerId);
              return fields;
            },
          },
          scope.ctx,
        );
        return answerJson(c, fileView(record), 201);
      } finally {
        form.close();
      }
    },
  });
}
