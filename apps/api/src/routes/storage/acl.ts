import { z } from '@hono/zod-openapi';

import { bodySchema } from '../../body-schemas.ts';
import { aclExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { answerJson, bucketErrors, json, jsonBodyErrors, problems } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { CannedAclSchema, ChosenBucket } from '../../request-schemas.ts';
import { AclSchema } from '../../schemas.ts';
import { bucketOf, scopeOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { aclView } from '../../views.ts';
import { keyOf, keyParam, objectPath } from './object-key.ts';

const access: Access = { role: 'service', needsStorage: true };

const request = { params: keyParam, query: z.object({ bucket: ChosenBucket }) };
const path = `${objectPath}/acl`;
const errors = [...bucketErrors, 'file_not_found', 'invalid_key', 'invalid_bucket_name', 'acl_not_supported'] as const;
const description = 'A key that itself ends in "/acl" is written with `%2Facl`.';

/** ACLs of objects. Registered before the object routes, whose path also matches these. */
export function objectAclRoutes(router: Router, services: Services): void {
  const { storage } = services.runtime;

  router.add({
    method: 'get',
    path,
    headHandledElsewhere: true,
    operationId: 'objects.getAcl',
    summary: 'Read the ACL of an object',
    description,
    access,
    tags: ['Objects'],
    request,
    responses: { ...json(200, AclSchema, { description: 'Owner and grants', example: aclExample }), ...problems(...errors) },
    handler: async (c, { query }) => {
      const key = keyOf(c, '/acl');
      const scope = await scopeOf(c, services);
      const bucket = await bucketOf(scope, services, query.bucket);
      return answerJson(c, aclView(await storage.getObjectAcl({ bucket, key }, scope.ctx)));
    },
  });

  router.add({
    method: 'put',
    path,
    operationId: 'objects.setAcl',
    summary: 'Set a canned ACL on an object',
    description,
    access,
    tags: ['Objects'],
    request: { ...request, json: bodySchema({ acl: CannedAclSchema }).openapi({ example: { acl: 'public-read' } }) },
    responses: {
      ...json(200, AclSchema, { description: 'The resulting ACL', example: aclExample }),
      ...problems(...errors, ...jsonBodyErrors),
    },
    handler: async (c, { query, json: body }) => {
      const key = keyOf(c, '/acl');
      const scope = await scopeOf(c, services);
      const bucket = await bucketOf(scope, services, query.bucket);
      return answerJson(c, aclView(await storage.setObjectAcl({ bucket, key, acl: body.acl }, scope.ctx)));
    },
  });
}
