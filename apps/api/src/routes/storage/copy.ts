import { bodySchema } from '../../body-schemas.ts';
import { objectExample } from '../../examples.ts';
import type { Access } from '../../guard.ts';
import { answerJson, bucketErrors, json, jsonBodyErrors, problems } from '../../responses.ts';
import type { Router } from '../../router.ts';
import { CannedAclSchema, ChosenBucket, ObjectKey, StorageClassName } from '../../request-schemas.ts';
import { ObjectSchema } from '../../schemas.ts';
import { bucketOf, scopeOf } from '../../scope.ts';
import type { Services } from '../../services.ts';
import { objectView } from '../../views.ts';

const access: Access = { role: 'service', needsStorage: true };

const address = bodySchema({ bucket: ChosenBucket, key: ObjectKey });
const body = bodySchema({
  source: address,
  destination: address,
  acl: CannedAclSchema.optional(),
  storage_class: StorageClassName.optional(),
}).openapi({ example: { source: { key: 'uploads/document.pdf' }, destination: { key: 'archive/document.pdf' } } });

const copyExample = { ...objectExample, key: 'archive/document.pdf' };

/** Server-side copies and moves. */
export function copyRoutes(router: Router, services: Services): void {
  const { storage } = services.runtime;
  for (const verb of ['copy', 'move'] as const) {
    router.add({
      method: 'post',
      path: `/api/v1/storage/${verb}`,
      collection: true,
      operationId: `objects.${verb}`,
      summary: verb === 'copy' ? 'Copy an object' : 'Move an object',
      description:
        verb === 'copy'
          ? 'The provider copies, at any size; content type, metadata and ACL are kept.'
          : 'The provider copies, then the source is deleted. What is written to the source in between stays where the provider can compare ' +
            'and delete in one step; elsewhere, it is deleted too.',
      access,
      tags: ['Objects'],
      request: { json: body },
      responses: {
        ...json(200, ObjectSchema, { description: 'The object at its destination', example: copyExample }),
        ...problems(
          ...bucketErrors,
          'file_not_found',
          'invalid_key',
          'invalid_bucket_name',
          'acl_not_supported',
          'object_archived',
          'precondition_failed',
          ...jsonBodyErrors,
        ),
      },
      handler: async (c, { json: { source, destination, acl, storage_class: storageClass } }) => {
        const scope = await scopeOf(c, services);
        const request = {
          source: { bucket: await bucketOf(scope, services, source.bucket), key: source.key },
          destination: { bucket: await bucketOf(scope, services, destination.bucket), key: destination.key },
          acl,
          storageClass,
        };
        const object = verb === 'copy' ? await storage.copyFile(request, scope.ctx) : await storage.moveFile(request, scope.ctx);
        return answerJson(c, objectView(object));
      },
    });
  }
}
