import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { z } from '@hono/zod-openapi';

import type { FileHead, FileRecord, OpenedFile } from '@coffer/files-db';
import { contentDisposition, sendObject, sendObjectHead } from '@coffer/storage-core/http';
import type { SendOptions } from '@coffer/storage-core/http';
import type { GetOptions } from '@coffer/storage-core';

import type { AppContext } from '../../app-env.ts';
import { bodySchema } from '../../body-schemas.ts';
import { readHeaders, redirectHeaders } from '../../documented-headers.ts';
import { presignedUrlExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import {
  answerJson,
  empty,
  json,
  jsonBodyErrors,
  noCache,
  objectAnswers,
  privateNoCache,
  problems,
  providerErrors,
  tenantErrors,
} from '../../responses.ts';
import type { Router } from '../../router.ts';
import { booleanParam } from '../../request-schemas.ts';
import { contextOf, scopeOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { FileId } from './schemas.ts';

const access: Access = { role: 'user', needsStorage: true };

const description = 'Streams, with the conditions of RFC 9110 and a single Range. HEAD answers the same without the body.';
const readErrors = ['file_not_found', 'range_not_satisfiable', 'precondition_failed', 'object_archived'] as const;

const PresignedDownloadSchema = z
  .object({ download_url: z.url(), expires_in: z.int().openapi({ description: 'Seconds.', example: 600 }) })
  .openapi('PresignedDownload');

/** A longer time than the storage allows is shortened, so only what is no whole number in JSON is too long here. */
const Seconds = z.int().min(1).openapi({
  format: 'int64',
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Seconds until the URL expires; shortened to 7 days, and to the lifetime of the credentials that sign it.',
  example: 600,
});

const Disposition = z.enum(['inline', 'attachment']).optional().openapi({
  description:
    '`attachment`: a browser saves the file instead of showing it. Types that a browser would run are always sent as `attachment`.',
});
type Disposition = z.output<typeof Disposition>;

/** Sends a file under its own name and type, whatever the underlying object says. */
async function send(
  c: AppContext,
  { cacheControl, disposition }: { readonly cacheControl: string; readonly disposition: Disposition },
  open: (options: GetOptions) => Promise<OpenedFile>,
  head: () => Promise<FileHead>,
): Promise<Response> {
  const { incoming, outgoing } = c.env;
  const presentationOf = ({ filename, contentType }: FileRecord): SendOptions => ({
    filename,
    contentType,
    ...(disposition !== undefined && { contentDisposition: contentDisposition(disposition, filename) }),
    headers: { 'cache-control': cacheControl },
  });
  if (incoming.method === 'HEAD') {
    const { file, info } = await head();
    sendObjectHead(incoming, outgoing, info, presentationOf(file));
    return RESPONSE_ALREADY_SENT;
  }
  const presentation: SendOptions = {};
  await sendObject(
    incoming,
    outgoing,
    async (options) => {
      const { file, result } = await open(options);
      Object.assign(presentation, presentationOf(file));
      return result;
    },
    presentation,
  );
  return RESPONSE_ALREADY_SENT;
}

export function downloadRoutes(router: Router, services: Services): void {
  const { files } = services.runtime;

  router.add({
    method: 'get',
    path: '/api/v1/files/{id}/download',
    operationId: 'files.download',
    summary: 'Download a file',
    description,
    head: true,
    access,
    tags: ['Files'],
    request: {
      params: FileId,
      headers: readHeaders,
      query: z.object({ redirect: booleanParam('Answer with a redirect to a presigned URL.').optional(), disposition: Disposition }),
    },
    responses: {
      ...objectAnswers('file'),
      ...empty(302, 'The file is at this URL', redirectHeaders),
      ...problems(...tenantErrors, ...providerErrors, ...readErrors, 'no_such_bucket'),
    },
    handler: async (c, { params: { id }, query }) => {
      const scope = await scopeOf(c, services);
      const { disposition } = query;
      if (query.redirect === true) {
        const method = c.env.incoming.method === 'HEAD' ? 'HEAD' : 'GET';
        const { downloadUrl } = await files.presignedDownload(id, { method, disposition }, scope.access, scope.ctx);
        return c.body(null, 302, { location: downloadUrl, 'cache-control': 'no-store' });
      }
      return send(
        c,
        { cacheControl: privateNoCache, disposition },
        (options) => files.open(id, options, scope.access, scope.ctx),
        () => files.head(id, scope.access, scope.ctx),
      );
    },
  });

  router.add({
    method: 'post',
    path: '/api/v1/files/{id}/presigned-download',
    operationId: 'files.presignDownload',
    summary: 'Request a presigned download',
    access,
    tags: ['Files'],
    request: {
      params: FileId,
      json: bodySchema({ expires_in: Seconds.optional(), disposition: Disposition })
        .openapi({ example: { expires_in: 600 } })
        .optional(),
    },
    responses: {
      ...json(200, PresignedDownloadSchema, {
        description: 'A URL that needs no token',
        example: { download_url: presignedUrlExample, expires_in: 600 },
      }),
      ...problems(...tenantErrors, ...providerErrors, 'file_not_found', 'no_such_bucket', ...jsonBodyErrors),
    },
    handler: async (c, { params, json: body }) => {
      const scope = await scopeOf(c, services);
      const options = { expiresIn: body?.expires_in, disposition: body?.disposition };
      const { downloadUrl, expiresIn } = await files.presignedDownload(params.id, options, scope.access, scope.ctx);
      return answerJson(c, { download_url: downloadUrl, expires_in: expiresIn });
    },
  });
}

/** Public files, readable by anybody without a token. */
export function publicFileRoute(router: Router, services: Services): void {
  const { files } = services.runtime;
  router.add({
    method: 'get',
    path: '/api/v1/public/files/{id}',
    operationId: 'files.downloadPublic',
    summary: 'Download a public file without a token',
    description,
    head: true,
    access: { role: 'anybody', needsStorage: true },
    tags: ['Files'],
    request: { params: FileId, headers: readHeaders, query: z.object({ disposition: Disposition }) },
    responses: { ...objectAnswers('file'), ...problems(...providerErrors, ...readErrors, 'validation_failed') },
    handler: (c, { params: { id }, query: { disposition } }) =>
      send(
        c,
        { cacheControl: noCache, disposition },
        (options) => files.openPublic(id, options, contextOf(c)),
        () => files.headPublic(id, contextOf(c)),
      ),
  });
}
