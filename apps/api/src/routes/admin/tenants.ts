import { z } from '@hono/zod-openapi';

import { validationFailed } from '@coffer/storage-core/http';

import { bodySchema, changeSchema } from '../../body-schemas.ts';
import { tenantExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { percentDecoded } from '../../http/query.ts';
import { answerJson, authErrors, empty, json, jsonBodyErrors, problems, providerErrors } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { booleanParam, CannedAclSchema, pageParams, TenantId, RegionName, TenantSlug, TenantUuid } from '../../request-schemas.ts';
import { Count, TenantSchema } from '../../schemas.ts';
import { contextOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { tenantView } from '../../views.ts';

const access: Access = { role: 'admin', needsStorage: false };

const TenantListSchema = z.object({ tenants: z.array(TenantSchema), next_cursor: z.string().nullable() }).openapi('TenantList');
const UsageSchema = z.object({ bytes: Count, files: Count, quota_bytes: Count.nullable() }).openapi('Usage');
const ProvisionedSchema = z
  .object({ bucket: z.string().openapi({ example: 'acme-uploads' }), status: z.literal('provisioned') })
  .openapi('Provisioned');
const quota = Count.openapi({ example: 10_737_418_240 });

/** Tenant administration: admins only, and available while storage is switched off. */
export function tenantRoutes(router: Router, services: Services): void {
  const { tenants, tenantService } = services.runtime;
  router.add({
    method: 'post',
    path: '/api/v1/admin/tenants',
    collection: true,
    operationId: 'tenants.create',
    summary: 'Register a tenant',
    access,
    tags: ['Tenants'],
    request: {
      json: bodySchema({ tenant_uuid: TenantUuid, tenant_slug: TenantSlug, quota_bytes: quota.nullable().optional() }).openapi({
        example: { tenant_uuid: tenantExample.tenant_uuid, tenant_slug: tenantExample.tenant_slug, quota_bytes: tenantExample.quota_bytes },
      }),
    },
    responses: {
      ...json(201, TenantSchema, { description: 'The new tenant', example: tenantExample }),
      ...json(200, TenantSchema, { description: 'The same pair was already registered', example: tenantExample }),
      ...problems(...authErrors, 'tenant_conflict', ...jsonBodyErrors),
    },
    handler: async (c, { json: body }) => {
      const { tenant, created } = await tenants.create({
        tenantUuid: body.tenant_uuid,
        tenantSlug: body.tenant_slug,
        quotaBytes: body.quota_bytes ?? null,
      });
      return answerJson(c, tenantView(tenant), created ? 201 : 200);
    },
  });

  router.add({
    method: 'get',
    path: '/api/v1/admin/tenants',
    collection: true,
    operationId: 'tenants.list',
    summary: 'List tenants',
    description: 'Ordered by uuid.',
    access,
    tags: ['Tenants'],
    request: {
      query: z.object(pageParams('tenants')),
    },
    responses: {
      ...json(200, TenantListSchema, { description: 'One page', example: { tenants: [tenantExample], next_cursor: null } }),
      ...problems(...authErrors, 'validation_failed'),
    },
    handler: async (c, { query: { limit, cursor } }) => {
      const page = await tenants.list({ limit, cursor });
      return answerJson(c, { tenants: page.tenants.map(tenantView), next_cursor: page.nextCursor });
    },
  });

  router.add({
    method: 'get',
    path: '/api/v1/admin/tenants/{tenant_id}',
    operationId: 'tenants.get',
    summary: 'Describe a tenant',
    access,
    tags: ['Tenants'],
    request: { params: TenantId },
    responses: {
      ...json(200, TenantSchema, { description: 'The tenant', example: tenantExample }),
      ...problems(...authErrors, 'tenant_not_found'),
    },
    handler: async (c, { params }) => answerJson(c, tenantView(await tenants.read(params.tenant_id))),
  });

  router.add({
    method: 'patch',
    path: '/api/v1/admin/tenants/{tenant_id}',
    operationId: 'tenants.update',
    summary: 'Rename a tenant or change its quota',
    description: 'A renamed tenant keeps its buckets, and its former slug stays taken. `quota_bytes: null` removes the quota.',
    access,
    tags: ['Tenants'],
    request: {
      params: TenantId,
      json: changeSchema(TenantSchema, { tenant_slug: TenantSlug.optional(), quota_bytes: quota.nullable().optional() }).openapi({
        example: { quota_bytes: tenantExample.quota_bytes },
      }),
    },
    responses: {
      ...json(200, TenantSchema, { description: 'The tenant', example: tenantExample }),
      ...problems(...authErrors, 'tenant_not_found', 'tenant_conflict', ...jsonBodyErrors),
    },
    handler: async (c, { params, json: body }) => {
      return answerJson(
        c,
        tenantView(await tenants.update(params.tenant_id, { tenantSlug: body.tenant_slug, quotaBytes: body.quota_bytes })),
      );
    },
  });

  router.add({
    method: 'delete',
    path: '/api/v1/admin/tenants/{tenant_id}',
    operationId: 'tenants.delete',
    summary: 'Delete a tenant',
    description: 'Its uuid and its slugs stay taken.',
    access,
    tags: ['Tenants'],
    request: { params: TenantId, query: z.object({ force: booleanParam('Remove its files, objects and buckets first.').optional() }) },
    responses: {
      ...empty(204, 'Deleted'),
      // bucket_not_empty: with force, something was written while a bucket was being emptied.
      ...problems(...authErrors, ...providerErrors, 'tenant_not_found', 'tenant_not_empty', 'bucket_not_empty', 'validation_failed'),
    },
    handler: async (c, { params, query }) => {
      await tenantService.delete(params.tenant_id, { force: query.force === true }, contextOf(c));
      return c.body(null, 204);
    },
  });

  router.add({
    method: 'get',
    path: '/api/v1/admin/tenants/{tenant_id}/usage',
    operationId: 'tenants.usage',
    summary: 'Show what a tenant stores',
    access,
    tags: ['Tenants'],
    request: { params: TenantId },
    responses: {
      ...json(200, UsageSchema, {
        description: 'Exact figures',
        example: { bytes: 1_024_000, files: 1, quota_bytes: tenantExample.quota_bytes },
      }),
      ...problems(...authErrors, 'tenant_not_found'),
    },
    handler: async (c, { params }) => {
      const { bytes, files, quotaBytes } = await tenants.usage(params.tenant_id);
      return answerJson(c, { bytes, files, quota_bytes: quotaBytes });
    },
  });

  router.add({
    method: 'post',
    path: '/api/v1/admin/tenants/{tenant_id}/provision-storage',
    operationId: 'tenants.provision',
    summary: "Create a tenant's bucket",
    description:
      'Idempotent; registers an unknown tenant, whose uuid is then what the path says, even if that looks like a slug. Sets CORS for browser uploads if the provider supports it.',
    access: { role: 'admin', needsStorage: true },
    tags: ['Tenants'],
    request: {
      params: TenantId,
      json: bodySchema({ tenant_slug: TenantSlug, region: RegionName.optional(), acl: CannedAclSchema.optional() }).openapi({
        example: { tenant_slug: tenantExample.tenant_slug },
      }),
    },
    responses: {
      ...json(200, ProvisionedSchema, {
        description: 'The bucket exists',
        example: { bucket: 'acme-uploads', status: 'provisioned' },
      }),
      ...problems(
        ...authErrors,
        ...providerErrors,
        'tenant_not_found',
        'tenant_conflict',
        'no_such_bucket',
        'acl_not_supported',
        ...jsonBodyErrors,
      ),
    },
    handler: async (c, { params, json: body }) => {
      // Hono leaves wrong escapes as they are, and a tenant keeps the uuid that it was registered with for ever.
      if (percentDecoded(c.env.exchange.path) === undefined)
        throw validationFailed([{ field: 'tenant_id', message: 'is not percent-encoded UTF-8' }]);
      const { bucket } = await tenantService.provision(
        params.tenant_id,
        { tenantSlug: body.tenant_slug, region: body.region, acl: body.acl },
        contextOf(c),
      );
      return answerJson(c, { bucket, status: 'provisioned' as const });
    },
  });
}
