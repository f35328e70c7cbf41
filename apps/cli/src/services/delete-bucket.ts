import { hasCode } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

/** What a bucket holds. */
export interface Contents {
  readonly count: number;
  readonly bytes: number;
  /** Whether there may be versions as well, which nobody has counted. */
  readonly keepsVersions: boolean;
}

/** @throws no_such_bucket */
export async function contentsOf(session: Session, bucket: string): Promise<Contents> {
  const { storage, ctx } = session;
  let [count, bytes] = [0, 0];
  for await (const { size } of storage.listFiles({ bucket }, ctx)) {
    count += 1;
    bytes += size;
  }
  return { count, bytes, keepsVersions: await keepsVersions(session, bucket) };
}

/** Who may not ask learns as much from the deletion. */
async function keepsVersions({ storage, ctx }: Session, bucket: string): Promise<boolean> {
  try {
    return await storage.getVersioning(bucket, ctx);
  } catch (error) {
    if (!hasCode(error, 'access_denied', 'not_supported')) throw error;
    return false;
  }
}

/**
 * Deletes a bucket; where the session has a database, also what that knows of it: whose it is, and which files are in it.
 * @throws no_such_bucket, bucket_not_empty
 */
export async function deleteBucket(
  { storage, runtime, ctx }: Session,
  bucket: string,
  options: { readonly force: boolean },
): Promise<void> {
  if (runtime === undefined) await storage.deleteBucket(bucket, options, ctx);
  else await runtime.tenantService.deleteBucket(bucket, options, ctx);
}
