import { z } from '@hono/zod-openapi';

import { fileStatuses } from '@coffer/files-db';

import { changeSchema } from '../../body-schemas.ts';
import { fileExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { answerJson, empty, json, jsonBodyErrors, problems, tenantErrors } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { Filename, pageParams, Subject } from '../../request-schemas.ts';
import { FileSchema } from '../../schemas.ts';
import { scopeOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { fileView } from '../../views.ts';
import { FileId, Metadata } from './schemas.ts';

const access: Access = { role: 'user', needsStorage: true };

const FileListSchema = z.object({ files: z.array(FileSchema), next_cursor: z.string().nullable() }).openapi('FileList');

/** The records of files: list, read, change, delete. */
export function fileRecordRoutes(router: Router, services: Services): void {
  const { files } = services.runtime;

  router.add({
    method: 'get',
    path: '/api/v1/files',
    collection: true,
    operationId: 'files.list',
    summary: 'List files',
    description: 'Newest first. Users see their own files and the public files of their tenant.',
    access,
    tags: ['Files'],
    request: {
      query: z.object({
        ...pageParams('files'),
        owner_id: Subject.optional().openapi({ description: 'Only files of this owner.' }),
        status: z
          .enum(fileStatuses, `one of ${fileStatuses.join(', ')}`)
          .optional()
          .openapi({ description: 'Default `available`. Deleted files are not listed.', default: 'available' }),
      }),
    },
    responses: {
      ...json(200, FileListSchema, { description: 'One page', example: { files: [fileExample], next_cursor: null } }),
      ...problems(...tenantErrors),
    },
    handler: async (c, { query }) => {
      const scope = await scopeOf(c, services);
      const { limit, cursor, owner_id: ownerId, status } = query;
      if (status === 'deleted') return answerJson(c, { files: [], next_cursor: null });
      const page = await files.list({ access: scope.access, limit, cursor, ownerId, status }, scope.ctx);
      return answerJson(c, { files: page.files.map(fileView), next_cursor: page.nextCursor });
    },
  });

  router.add({
    method: 'get',
    path: '/api/v1/files/{id}',
    operationId: 'files.get',
    summary: 'Read the record of a file',
    access,
    tags: ['Files'],
    request: { params: FileId },
    responses: {
      ...json(200, FileSchema, { description: 'The record', example: fileExample }),
      ...problems(...tenantErrors, 'file_not_found'),
    },
    handler: async (c, { params }) => {
      const scope = await scopeOf(c, services);
      return answerJson(c, fileView(await files.get(params.id, scope.access, scope.ctx)));
    },
  });

  router.add({
    method: 'patch',
    path: '/api/v1/files/{id}',
    operationId: 'files.update',
    summary: 'Change the record of a file',
    access,
    tags: ['Files'],
    request: {
      params: FileId,
      json: changeSchema(FileSchema, {
        filename: Filename.optional(),
        is_public: z.boolean().optional(),
        metadata: Metadata.optional(),
      }).openapi({ example: { filename: fileExample.filename } }),
    },
    responses: {
      ...json(200, FileSchema, { description: 'The record', example: fileExample }),
      ...problems(...tenantErrors, 'file_not_found', ...jsonBodyErrors),
    },
    handler: async (c, { params, json: { filename, is_public: isPublic, metadata } }) => {
      const scope = await scopeOf(c, services);
      return answerJson(c, fileView(await files.update(params.id, { filename, isPublic, metadata }, scope.access, scope.ctx)));
    },
  });

  router.add({
    method: 'delete',
    path: '/api/v1/files/{id}',
    operationId: 'files.delete',
    summary: 'Delete a file',
    access,
    tags: ['Files'],
    request: { params: FileId },
    responses: { ...empty(204, 'Deleted: every route answers 404 from now on'), ...problems(...tenantErrors, 'file_not_found') },
    handler: async (c, { params }) => {
      const scope = await scopeOf(c, services);
      await files.delete(params.id, scope.access, scope.ctx);
      return c.body(null, 204);
    },
  });
}
