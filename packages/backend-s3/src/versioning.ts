import { hasCode, storageError } from '@coffer/storage-core';
import type { CallContext, VersioningOperations } from '@coffer/storage-core';

import { assertBucketExists } from './assert-bucket-exists.ts';
import type { EndpointProfile } from './profile.ts';
import type { Store } from './store.ts';

export function versioningOperations(store: Store): VersioningOperations {
  const { administration } = store;
  return {
    getVersioning: (bucket, ctx) => administration.getVersioning(bucket, ctx),
    async setVersioning(bucket, enabled, ctx) {
      await assertBucketExists(store, bucket, ctx);
      // Some servers without versions report success.
      if (enabled && (await store.endpoint.profileIfAllowed(bucket, ctx))?.versioning === false)
        throw storageError('not_supported', 'This storage provider keeps no versions.');
      await administration.setVersioning(bucket, enabled, ctx);
    },
  };
}

/**
 * Whether the copy of an object without a version id may share its bytes: Ceph copies a key that has had other versions by a reference,
 * through which the copy changes, and goes, with its source.
 * @param buckets of the source, and of the copy: the credentials may only read the former, and probe the endpoint in the latter
 */
export async function mayShareBytes(
  store: Store,
  buckets: { readonly from: string; readonly to: string },
  ctx: CallContext,
): Promise<boolean> {
  const { settings, endpoint, administration } = store;
  const isSafe = (): boolean => endpoint.known?.conditionalPutOfVersions === true || endpoint.known?.versioning === false;
  if (settings.isAws || isSafe()) return false;
  let isDenied = false;
  try {
    if (!(await administration.hasKeptVersions(buckets.from, ctx))) return false;
  } catch (error) {
    if (hasCode(error, 'not_supported')) return false;
    isDenied = hasCode(error, 'access_denied'); // who may not ask pays for a copy of its own, whether it is needed or not
    if (!isDenied) throw error;
  }
  const profile = await endpoint.profileIfAllowed(buckets.to, ctx);
  // Who may not ask seldom may set it either, which `isSafe` is known from. But Ceph ignores the condition of a copy on its source.
  return !isSafe() && !(isDenied && profile?.copySourceCondition === true);
}

/**
 * Whether this bucket keeps versions on a server that then does not evaluate the conditions of PutObject, as it otherwise does: Ceph ignores
 * If-None-Match there, and refuses every If-Match.
 */
export async function keepsUncomparedVersions(
  store: Store,
  bucket: string,
  { conditionalPutOfVersions: isEnforced }: EndpointProfile,
  ctx: CallContext,
): Promise<boolean> {
  if (isEnforced === true) return false;
  try {
    return await store.administration.getVersioning(bucket, ctx);
  } catch (error) {
    if (isEnforced === undefined && hasCode(error, 'not_supported')) return false; // a server that cannot tell hardly keeps any
    throw error;
  }
}
