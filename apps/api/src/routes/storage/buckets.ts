import { assertBucketName } from '@coffer/storage-core';
import { z } from '@hono/zod-openapi';

import { bodySchema } from '../../body-schemas.ts';
import { bucketExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { answerJson, authErrors, empty, json, jsonBodyErrors, problems, providerErrors } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { BucketName, booleanParam, CannedAclSchema, RegionName, TenantUuid } from '../../request-schemas.ts';
import { BucketSchema } from '../../schemas.ts';
import { contextOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { bucketView } from '../../views.ts';

const access: Access = { role: 'admin', needsStorage: true };

export const bucketParam = z.object({ name: BucketName.openapi({ param: { name: 'name', in: 'path' } }) });

const BucketListSchema = z.object({ buckets: z.array(BucketSchema), total: z.int().openapi({ example: 1 }) }).openapi('BucketList');

/** Bucket administration: admins only. */
export function bucketRoutes(router: Router, services: Services): void {
  const { storage, tenants, tenantService } = services.runtime;

  router.add({
    method: 'post',
    path: '/api/v1/storage/buckets',
    collection: true,
    operationId: 'buckets.create',
    summary: 'Create a bucket',
    access,
    tags: ['Buckets'],
    request: {
      json: bodySchema({
        name: BucketName,
        region: RegionName.optional(),
        acl: CannedAclSchema.optional(),
        tenant_uuid: TenantUuid.optional().openapi({ description: 'A registered tenant, to which the bucket will belong.' }),
      }).openapi({ example: { name: 'acme-uploads' } }),
    },
    responses: {
      ...json(201, BucketSchema, { description: 'The new bucket', example: bucketExample }),
      ...problems(
        ...authErrors,
        ...providerErrors,
        'bucket_already_exists',
        'invalid_bucket_name',
        'tenant_not_found',
        'tenant_conflict',
        'acl_not_supported',
        ...jsonBodyErrors,
      ),
    },
    handler: async (c, { json: { name, region, acl, tenant_uuid: tenantUuid } }) => {
      const ctx = contextOf(c);
      const request = { bucket: name, region, acl };
      const bucket =
        tenantUuid === undefined
          ? await storage.createBucket(request, ctx)
          : await tenantService.createBucket({ ...request, tenant: tenantUuid }, ctx);
      return answerJson(c, bucketView(bucket, (await tenants.ownerOf(name)) ?? null), 201);
    },
  });

  router.add({
    method: 'get',
    path: '/api/v1/storage/buckets',
    collection: true,
    operationId: 'buckets.list',
    summary: 'List buckets',
    access,
    tags: ['Buckets'],
    responses: {
      ...json(200, BucketListSchema, { description: 'All buckets, by name', example: { buckets: [bucketExample], total: 1 } }),
      ...problems(...authErrors, ...providerErrors),
    },
    handler: async (c) => {
      const buckets = await storage.listBuckets(contextOf(c));
      const owners = await tenants.ownersOf(buckets.map(({ name }) => name));
      return answerJson(c, {
        buckets: buckets.map((bucket) => bucketView(bucket, owners.get(bucket.name) ?? null)),
        total: buckets.length,
      });
    },
  });

  router.add({
    method: 'get',
    path: '/api/v1/storage/buckets/{name}',
    operationId: 'buckets.get',
    summary: 'Describe a bucket',
    access,
    tags: ['Buckets'],
    request: { params: bucketParam },
    responses: {
      ...json(200, BucketSchema, { description: 'The bucket', example: bucketExample }),
      ...problems(...authErrors, ...providerErrors, 'no_such_bucket', 'invalid_bucket_name'),
    },
    handler: async (c, { params }) => {
      const bucket = await storage.getBucketInfo(params.name, contextOf(c));
      return answerJson(c, bucketView(bucket, (await tenants.ownerOf(params.name)) ?? null));
    },
  });

  router.add({
    method: 'delete',
    path: '/api/v1/storage/buckets/{name}',
    operationId: 'buckets.delete',
    summary: 'Delete a bucket',
    access,
    tags: ['Buckets'],
    request: {
      params: bucketParam,
      query: z.object({ force: booleanParam('Remove objects, versions, delete markers and open multipart uploads first.').optional() }),
    },
    responses: {
      ...empty(204, 'Deleted'),
      ...problems(...authErrors, ...providerErrors, 'no_such_bucket', 'bucket_not_empty', 'invalid_bucket_name', 'validation_failed'),
    },
    handler: async (c, { params, query }) => {
      assertBucketName(params.name);
      await tenantService.deleteBucket(params.name, { force: query.force === true }, contextOf(c));
      return c.body(null, 204);
    },
  });
}
