import { decodeKey } from '@coffer/storage-core';

import type { AppContext } from '../../app-env.ts';

const objectsPath = '/api/v1/storage/objects/';

/** The key that the request line names: decoded once, so that `%2F` belongs to the key and `%2e%2e` is refused. */
export function keyOf(c: AppContext, suffix: '' | '/acl' = ''): string {
  const path = c.env.exchange.path.slice(objectsPath.length);
  return decodeKey(suffix === '' ? path : path.slice(0, -suffix.length));
}
