import { z } from '@hono/zod-openapi';

import { decodeKey } from '@coffer/storage-core';

import type { AppContext } from '../../app-env.ts';
import { ObjectKey } from '../../request-schemas.ts';

const objectsPath = '/api/v1/storage/objects/';

/** Path of one object. */
export const objectPath = `${objectsPath}{key}`;

export const keyParam = z.object({
  key: ObjectKey.openapi({
    param: { name: 'key', in: 'path' },
    description:
      'Key of the object. Percent-encode it in the path, unless your client does. Slashes may stay as they are, but a key that itself ends ' +
      'in "/acl" is written with `%2Facl`, since the path of an ACL ends so.',
  }),
});

/** The key in the request line, decoded once, so that `%2F` belongs to the key and `%2e%2e` is refused. @throws invalid_key */
export function keyOf(c: AppContext, suffix: '' | '/acl' = ''): string {
  const path = c.env.exchange.path.slice(objectsPath.length);
  return decodeKey(suffix === '' ? path : path.slice(0, -suffix.length));
}
