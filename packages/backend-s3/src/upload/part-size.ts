import type { CallContext } from '@coffer/storage-core';

import { fewestMaxParts, maxParts } from '../limits.ts';
import type { Store } from '../store.ts';

const mib = 2 ** 20;

/** The most parts that an object may have. Credentials that may not find out try with as many as on AWS. */
export async function maxPartsIn(store: Store, bucket: string, ctx: CallContext): Promise<number> {
  return (await store.endpoint.profileIfAllowed(bucket, ctx))?.maxParts ?? maxParts;
}

/** Bytes of a part: whole MiB, or `usual` if that is enough, so that an object of `size` bytes does not have too many parts. */
export async function partSizeFor(
  store: Store,
  bucket: string,
  { size, usual }: { readonly size: number; readonly usual: number },
  ctx: CallContext,
): Promise<number> {
  if (size <= fewestMaxParts * usual) return usual;
  return Math.max(usual, Math.ceil(size / (await maxPartsIn(store, bucket, ctx)) / mib) * mib);
}
