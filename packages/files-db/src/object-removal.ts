import { hasCode } from '@coffer/storage-core';
import type { CallContext, StorageService } from '@coffer/storage-core';

/** Keys per call to a provider with batch deletes. */
const batchSize = 1000;
const parallel = 8;
/** Each tenant has its own bucket, and a batch delete covers one bucket only. */
const bucketsAtOnce = 4;

/** An object, and the row that must not go before it. */
export interface ObjectOfRow {
  readonly id: string;
  readonly bucket: string;
  readonly key: string;
}

/** Removes objects from any buckets, as `removeObjects` does. @returns the ids of rows that still have objects */
export async function removeObjectsOfRows(
  storage: StorageService,
  objects: readonly ObjectOfRow[],
  ctx: CallContext,
): Promise<ReadonlySet<string>> {
  const remaining = new Set<string>();
  const buckets = [...Map.groupBy(objects, ({ bucket }) => bucket)];
  for (let start = 0; start < buckets.length; start += bucketsAtOnce) {
    const removals = buckets.slice(start, start + bucketsAtOnce).map(async ([bucket, group]) => {
      const ids = new Map(group.map(({ key, id }) => [key, id]));
      for (const key of await removeObjects(storage, { bucket, keys: [...ids.keys()] }, ctx)) {
        const id = ids.get(key); // a backend may report keys that nobody named
        if (id !== undefined) remaining.add(id);
      }
    });
    await Promise.all(removals);
  }
  return remaining;
}

/**
 * Removes objects from one bucket. Missing objects, and all objects of a missing bucket, count as removed.
 * @returns the keys that the provider failed to remove
 */
export async function removeObjects(
  storage: StorageService,
  objects: { readonly bucket: string; readonly keys: readonly string[] },
  ctx: CallContext,
): Promise<readonly string[]> {
  const { bucket, keys } = objects;
  const failed: string[] = [];
  try {
    if (keys.length > 1 && storage.backend.batchDelete !== undefined) {
      for (let start = 0; start < keys.length; start += batchSize) {
        const { errors } = await storage.deleteFiles({ bucket, keys: keys.slice(start, start + batchSize) }, ctx);
        failed.push(...errors.map(({ key }) => key));
      }
      return failed;
    }
    for (let start = 0; start < keys.length; start += parallel) {
      const slice = keys.slice(start, start + parallel);
      const results = await Promise.allSettled(slice.map((key) => storage.deleteFile({ bucket, key }, ctx)));
      failed.push(...slice.filter((_key, index) => isFailure(results[index])));
    }
    return failed;
  } catch (error) {
    return hasCode(error, 'no_such_bucket') ? [] : keys;
  }
}

function isFailure(result: PromiseSettledResult<unknown> | undefined): boolean {
  return result?.status === 'rejected' && !hasCode(result.reason, 'no_such_bucket');
}

/** Removes an object. @returns whether it is gone */
export async function removeObject(
  storage: StorageService,
  at: { readonly bucket: string; readonly key: string },
  ctx: CallContext,
): Promise<boolean> {
  return (await removeObjects(storage, { bucket: at.bucket, keys: [at.key] }, ctx)).length === 0;
}
