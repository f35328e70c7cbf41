import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { z } from '@hono/zod-openapi';

import { evaluateConditions, hasCode, storageError } from '@coffer/storage-core';
import type { CallContext, DeleteFile, ObjectAddress, ObjectInfo, ReadConditions, StorageService } from '@coffer/storage-core';
import { readConditionsOf, sendObject, sendObjectHead } from '@coffer/storage-core/http';

import { bodySchema } from '../../body-schemas.ts';
import { unbindToken } from '../../continuation-token.ts';
import type { Listing } from '../../continuation-token.ts';
import { deleteHeaders, readHeaders } from '../../documented-headers.ts';
import { objectListExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { answerJson, bucketErrors, empty, json, jsonBodyErrors, objectAnswers, privateNoCache, problems } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { ChosenBucket, integerParam, listingText } from '../../request-schemas.ts';
import { ObjectListSchema } from '../../schemas.ts';
import { bucketOf, scopeOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { listView } from '../../views.ts';
import { keyOf, keyParam, objectPath } from './object-key.ts';

const access: Access = { role: 'service', needsStorage: true };

const inBucket = z.object({ bucket: ChosenBucket });
const errors = [...bucketErrors, 'invalid_key', 'invalid_bucket_name'] as const;

const DeleteResultSchema = z
  .object({ deleted: z.array(z.string()), errors: z.array(z.object({ key: z.string(), code: z.string() })) })
  .openapi('DeleteResult');

/** Reading, listing and deleting objects. */
export function objectRoutes(router: Router, services: Services): void {
  const { storage } = services.runtime;

  router.add({
    method: 'get',
    path: '/api/v1/storage/objects',
    collection: true,
    operationId: 'objects.list',
    summary: 'List objects',
    access,
    tags: ['Objects'],
    request: {
      query: z.object({
        prefix: listingText('Only keys that begin with this. Such as `uploads/`.').optional(),
        delimiter: listingText('Groups the keys that continue after it into one entry of `common_prefixes`. Such as `/`.').optional(),
        max_keys: integerParam({
          min: 1,
          max: 1000,
          description: 'Maximum number of entries on one page; default 1000.',
          example: 100,
        }).optional(),
        continuation_token: z.string().min(1).max(4096).optional().openapi({
          description:
            '`next_continuation_token` of the page before, with the same `bucket`, `prefix` and `delimiter`; absent for the first page.',
        }),
        bucket: ChosenBucket,
      }),
    },
    responses: {
      ...json(200, ObjectListSchema, { description: 'One page, in the order of the UTF-8 bytes of the keys', example: objectListExample }),
      ...problems(...errors),
    },
    handler: async (c, { query }) => {
      const scope = await scopeOf(c, services);
      const bucket = await bucketOf(scope, services, query.bucket);
      const list: Listing = [bucket, query.prefix ?? '', query.delimiter ?? ''];
      const page = await storage.listFiles(
        {
          bucket,
          prefix: query.prefix,
          delimiter: query.delimiter,
          maxKeys: query.max_keys,
          continuationToken: query.continuation_token === undefined ? undefined : unbindToken(list, query.continuation_token),
        },
        scope.ctx,
      );
      return answerJson(c, listView(page, list));
    },
  });

  router.add({
    method: 'get',
    path: objectPath,
    operationId: 'objects.get',
    summary: 'Download an object',
    head: true,
    description: 'Streams the object. Accepts a single Range and the conditions of RFC 9110. HEAD answers the same without the body.',
    access,
    tags: ['Objects'],
    request: { params: keyParam, query: inBucket, headers: readHeaders },
    responses: {
      ...objectAnswers('object'),
      ...problems(...errors, 'file_not_found', 'range_not_satisfiable', 'precondition_failed', 'object_archived'),
    },
    handler: async (c, { query }) => {
      const key = keyOf(c);
      const scope = await scopeOf(c, services);
      const at = { bucket: await bucketOf(scope, services, query.bucket), key };
      const { incoming, outgoing } = c.env;
      const sending = { headers: { 'cache-control': privateNoCache } };
      if (incoming.method === 'HEAD') sendObjectHead(incoming, outgoing, await storage.getFileInfo(at, scope.ctx), sending);
      else await sendObject(incoming, outgoing, (options) => storage.openIfChanged(at, options, scope.ctx), sending);
      return RESPONSE_ALREADY_SENT;
    },
  });

  router.add({
    method: 'delete',
    path: objectPath,
    operationId: 'objects.delete',
    summary: 'Delete an object',
    description:
      'With `If-Match`, `If-None-Match` or `If-Unmodified-Since`, only an object in that state is deleted. Where the provider can compare and ' +
      'delete in one step, nothing is deleted that was written meanwhile; elsewhere, Coffer looks at the object first.',
    access,
    tags: ['Objects'],
    request: { params: keyParam, query: inBucket, headers: deleteHeaders },
    responses: { ...empty(204, 'Deleted, or did not exist'), ...problems(...errors, 'precondition_failed') },
    handler: async (c, { query }) => {
      const key = keyOf(c);
      const scope = await scopeOf(c, services);
      const at = { bucket: await bucketOf(scope, services, query.bucket), key };
      const { range: _range, ifModifiedSince: _onlyOfReads, ...conditions } = readConditionsOf(c.env.incoming.headers);
      const state = await stateToDelete(storage, at, conditions, scope.ctx);
      if (state !== undefined) await storage.deleteFile({ ...at, ...state }, scope.ctx);
      return c.body(null, 204);
    },
  });

  router.add({
    method: 'post',
    path: '/api/v1/storage/delete',
    collection: true,
    operationId: 'objects.deleteMany',
    summary: 'Delete up to 1,000 objects',
    description: 'A key that cannot be deleted is an error of its own and does not fail the batch.',
    access,
    tags: ['Objects'],
    request: {
      maxJsonBytes: 8_388_608, // 1,000 keys of the greatest length, with each character escaped
      json: bodySchema({
        keys: z.array(z.string()).min(1).max(1000),
        bucket: ChosenBucket,
      }).openapi({ example: { keys: ['uploads/a.pdf', 'uploads/b.pdf'] } }),
    },
    responses: {
      ...json(200, DeleteResultSchema, {
        description: 'The result for each key',
        example: { deleted: ['uploads/a.pdf'], errors: [{ key: 'uploads/../b.pdf', code: 'invalid_key' }] },
      }),
      ...problems(...bucketErrors, 'invalid_bucket_name', ...jsonBodyErrors),
    },
    handler: async (c, { json: body }) => {
      const scope = await scopeOf(c, services);
      const bucket = await bucketOf(scope, services, body.bucket);
      const { deleted, errors } = await storage.deleteFiles({ keys: body.keys, bucket }, scope.ctx);
      return answerJson(c, { deleted, errors: errors.map(({ key, code }) => ({ key, code })) });
    },
  });
}

/**
 * What an object is deleted by that meets the conditions of a delete; undefined if there is none, since what is written from now on was not
 * asked about. A single ETag needs no look at the object.
 * @throws precondition_failed
 */
async function stateToDelete(
  storage: StorageService,
  at: ObjectAddress,
  conditions: ReadConditions,
  ctx: CallContext,
): Promise<Pick<Exclude<DeleteFile, string>, 'ifMatch'> | undefined> {
  const { ifMatch, ifNoneMatch } = conditions;
  if (Object.keys(conditions).length === 0) return {};
  if (Array.isArray(ifMatch) && ifMatch.length === 1 && ifNoneMatch === undefined) return { ifMatch: ifMatch[0] as string };
  const info = await storage.getFileInfo(at, ctx).catch((error: unknown) => {
    if (hasCode(error, 'file_not_found')) return undefined;
    throw error;
  });
  assertState(info, conditions);
  if (info === undefined) return undefined;
  return ifMatch === '*' && ifNoneMatch === undefined ? {} : { ifMatch: info.etag };
}

/** @throws precondition_failed unless the object, or its absence, meets the conditions of a delete */
function assertState(info: ObjectInfo | undefined, conditions: ReadConditions): void {
  const holds = info === undefined ? conditions.ifMatch === undefined : evaluateConditions(info, conditions) === 'send';
  if (!holds) throw storageError('precondition_failed', 'The object is not in the state that the condition asks for.');
}
