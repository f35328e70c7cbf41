import { z } from '@hono/zod-openapi';

import type { LifecycleRule } from '@coffer/storage-core';

import { bodySchema } from '../../body-schemas.ts';
import { aclExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { answerJson, authErrors, empty, json, jsonBodyErrors, problems, providerErrors } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { CannedAclSchema, listingText } from '../../request-schemas.ts';
import { AclSchema } from '../../schemas.ts';
import { contextOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { aclView } from '../../views.ts';
import { bucketParam } from './buckets.ts';

const access: Access = { role: 'admin', needsStorage: true };

const request = { params: bucketParam };
const errors = [...authErrors, ...providerErrors, 'no_such_bucket', 'invalid_bucket_name'] as const;
const writeErrors = [...errors, ...jsonBodyErrors] as const;

const VersioningSchema = z.object({ enabled: z.boolean() }).openapi('Versioning', { example: { enabled: true } });
const days = z.int().min(1).max(36_500);
const transition = { days: z.int().min(0).max(36_500), storage_class: z.string().min(1).max(64) };
const rule = {
  id: z
    .string()
    .min(1)
    .max(255)
    .refine((value) => value.isWellFormed(), 'no lone surrogates'),
  prefix: listingText('Prefix of the keys that the rule applies to.'),
  expire_days: days.optional(),
  abort_multipart_days: days.optional(),
};
const RuleSchema = z.object({ ...rule, transition: z.object(transition).optional() });
const RuleChange = bodySchema({ ...rule, transition: bodySchema(transition).optional() }).openapi({
  description: 'Needs at least one of expire_days, abort_multipart_days and transition, unless it is given back as it was read.',
});
const rulesExample = { rules: [{ id: 'tmp', prefix: 'tmp/', expire_days: 7 }] };
const LifecycleSchema = z.object({ rules: z.array(RuleSchema) }).openapi('Lifecycle');
const LifecycleChange = bodySchema({
  rules: z
    .array(RuleChange)
    .min(1, 'at least one rule; DELETE removes all of them')
    .max(1000)
    .superRefine((rules, check) => {
      for (const [index, { id }] of rules.entries()) {
        if (rules.findIndex((rule) => rule.id === id) < index)
          check.addIssue({ code: 'custom', path: [index, 'id'], message: 'must be different from the ids of the other rules' });
      }
    }),
}).openapi('LifecycleChange', { example: rulesExample });

/** ACL, versioning and lifecycle of a bucket. */
export function bucketSettingRoutes(router: Router, services: Services): void {
  const { storage } = services.runtime;

  router.add({
    method: 'get',
    path: '/api/v1/storage/buckets/{name}/acl',
    operationId: 'buckets.getAcl',
    summary: 'Read the ACL of a bucket',
    access,
    tags: ['Buckets'],
    request,
    responses: {
      ...json(200, AclSchema, { description: 'Owner and grants', example: aclExample }),
      ...problems(...errors, 'acl_not_supported'),
    },
    handler: async (c, { params }) => answerJson(c, aclView(await storage.getBucketAcl(params.name, contextOf(c)))),
  });

  router.add({
    method: 'put',
    path: '/api/v1/storage/buckets/{name}/acl',
    operationId: 'buckets.setAcl',
    summary: 'Set a canned ACL on a bucket',
    access,
    tags: ['Buckets'],
    request: { ...request, json: bodySchema({ acl: CannedAclSchema }).openapi({ example: { acl: 'public-read' } }) },
    responses: {
      ...json(200, AclSchema, { description: 'The resulting ACL', example: aclExample }),
      ...problems(...writeErrors, 'acl_not_supported'),
    },
    handler: async (c, { params, json: body }) => answerJson(c, aclView(await storage.setBucketAcl(params.name, body.acl, contextOf(c)))),
  });

  router.add({
    method: 'get',
    path: '/api/v1/storage/buckets/{name}/versioning',
    operationId: 'buckets.getVersioning',
    summary: 'Show whether a bucket keeps versions',
    access,
    tags: ['Buckets'],
    request,
    responses: { ...json(200, VersioningSchema, { description: 'The setting', example: { enabled: true } }), ...problems(...errors) },
    handler: async (c, { params }) => answerJson(c, { enabled: await storage.getVersioning(params.name, contextOf(c)) }),
  });

  router.add({
    method: 'put',
    path: '/api/v1/storage/buckets/{name}/versioning',
    operationId: 'buckets.setVersioning',
    summary: 'Switch versioning on or off',
    access,
    tags: ['Buckets'],
    request: { ...request, json: bodySchema(VersioningSchema.shape).openapi({ example: { enabled: true } }) },
    responses: { ...json(200, VersioningSchema, { description: 'The setting', example: { enabled: true } }), ...problems(...writeErrors) },
    handler: async (c, { params, json: { enabled } }) => {
      await storage.setVersioning(params.name, enabled, contextOf(c));
      return answerJson(c, { enabled });
    },
  });

  router.add({
    method: 'get',
    path: '/api/v1/storage/buckets/{name}/lifecycle',
    operationId: 'buckets.getLifecycle',
    summary: 'Read the lifecycle rules of a bucket',
    access,
    tags: ['Buckets'],
    request,
    responses: { ...json(200, LifecycleSchema, { description: 'The rules', example: rulesExample }), ...problems(...errors) },
    handler: async (c, { params }) => answerJson(c, { rules: (await storage.getLifecycle(params.name, contextOf(c))).map(ruleView) }),
  });

  router.add({
    method: 'put',
    path: '/api/v1/storage/buckets/{name}/lifecycle',
    operationId: 'buckets.setLifecycle',
    summary: 'Replace the lifecycle rules of a bucket',
    access,
    tags: ['Buckets'],
    request: { ...request, json: LifecycleChange },
    responses: { ...json(200, LifecycleSchema, { description: 'The rules', example: rulesExample }), ...problems(...writeErrors) },
    handler: async (c, { params, json: { rules } }) => {
      await storage.setLifecycle(params.name, rules.map(ruleOf), contextOf(c));
      return answerJson(c, { rules });
    },
  });

  router.add({
    method: 'delete',
    path: '/api/v1/storage/buckets/{name}/lifecycle',
    operationId: 'buckets.deleteLifecycle',
    summary: 'Remove all lifecycle rules of a bucket',
    access,
    tags: ['Buckets'],
    request,
    responses: { ...empty(204, 'The bucket has no rules any more'), ...problems(...errors, 'validation_failed') },
    handler: async (c, { params }) => {
      await storage.deleteLifecycle(params.name, contextOf(c));
      return c.body(null, 204);
    },
  });
}

type RuleView = z.output<typeof RuleSchema>;

function ruleOf(rule: RuleView): LifecycleRule {
  return {
    id: rule.id,
    prefix: rule.prefix,
    ...(rule.expire_days !== undefined && { expireDays: rule.expire_days }),
    ...(rule.abort_multipart_days !== undefined && { abortMultipartDays: rule.abort_multipart_days }),
    ...(rule.transition !== undefined && { transition: { days: rule.transition.days, storageClass: rule.transition.storage_class } }),
  };
}

function ruleView(rule: LifecycleRule): RuleView {
  return {
    id: rule.id,
    prefix: rule.prefix,
    ...(rule.expireDays !== undefined && { expire_days: rule.expireDays }),
    ...(rule.abortMultipartDays !== undefined && { abort_multipart_days: rule.abortMultipartDays }),
    ...(rule.transition !== undefined && { transition: { days: rule.transition.days, storage_class: rule.transition.storageClass } }),
  };
}
