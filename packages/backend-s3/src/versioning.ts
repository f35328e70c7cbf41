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

/** Whether a bucket has ever kept versions, as far as it is known or matters; `denied` to credentials that may not ask. */
export type FormerVersions = 'none' | 'kept' | 'denied';

/** Asks about the bucket of a source what `mayShareBytes` has to know. Tries nothing out. */
export async function formerVersions(store: Store, bucket: string, ctx: CallContext): Promise<FormerVersions> {
  if (sharesNoBytes(store)) return 'none';
  try {
    return (await store.administration.hasKeptVersions(bucket, ctx)) ? 'kept' : 'none';
  } catch (error) {
    if (hasCode(error, 'not_supported')) return 'none';
    if (hasCode(error, 'access_denied')) return 'denied'; // who may not ask pays for a copy of its own, whether it is needed or not
    throw error;
  }
}

function sharesNoBytes({ settings, endpoint: { known } }: Store): boolean {
  return settings.isAws || known?.conditionalPutOfVersions === true || known?.versioning === false;
}

/**
 * Whether the copy of an object without a version id may share its bytes: Ceph copies a key that has had other versions by a reference,
 * through which the copy changes, and goes, with its source.
 * @param to the bucket of the copy, in which the endpoint may be probed: the credentials may only read that of the source
 */
export async function mayShareBytes(store: Store, versions: FormerVersions, to: string, ctx: CallContext): Promise<boolean> {
  if (versions === 'none' || sharesNoBytes(store)) return false;
  const profile = await store.endpoint.profileIfAllowed(to, ctx);
  // Who may not ask seldom may set it either, which `sharesNoBytes` is known from. But Ceph ignores the condition of a copy on its source.
  return !sharesNoBytes(store) && !(versions === 'denied' && profile?.copySourceCondition === true);
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
