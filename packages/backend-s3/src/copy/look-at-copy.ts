import type { ObjectInfo } from '@coffer/storage-core';

import { infoOf, requireSize } from '../read.ts';
import type { Store } from '../store.ts';
import type { Written } from '../transport.ts';
import type { Copy } from './copy-of.ts';

/**
 * A copy without a condition is of whatever its source was at that moment, which may be newer than what was inspected. An ETag of its own
 * gives that away, or is one that the server gives to copies of objects that arrived in parts.
 * @returns what was copied; undefined if that is what was inspected, or if nothing tells any more
 */
export async function lookAtCopy(store: Store, copy: Omit<Copy, 'profile'>, { etag }: Written): Promise<ObjectInfo | undefined> {
  const { source, destination, from, ctx } = copy;
  if (etag === from.etag) return undefined;
  for (const at of [destination, source]) {
    const now = await store.transport.head(at, ctx).catch(() => undefined); // the copy is made, whoever may look at it
    if (now?.etag === etag) return infoOf(store, at, now, requireSize(now), ctx);
  }
  return undefined;
}
