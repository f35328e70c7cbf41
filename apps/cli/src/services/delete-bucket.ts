import { hasCode } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import type { Session } from './open-session.ts';

/** The contents of a bucket. */
export interface Contents {
  readonly count: number;
  readonly bytes: number;
  /** Whether the bucket may also hold versions, which are not counted. */
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

/** Without permission to ask, the answer is false: the deletion itself will tell. */
async function keepsVersions({ storage, ctx }: Session, bucket: string): Promise<boolean> {
  try {
    return await storage.getVersioning(bucket, ctx);
  } catch (error) {
    if (!hasCode(error, 'access_denied', 'not_supported')) throw error;
    return false;
  }
}

/**
 * Deletes a bucket and, if the session has a database, its records there: the owner of the bucket, and the files in it.
 * @throws no_such_bucket, bucket_not_empty
 */
export async function deleteBucket(
  { storage, runtime, ctx }: Session,
  bucket: string,
  options: { readonly force: boolean },
): Promise<void> {
  try {
    if (runtime === undefined) await storage.deleteBucket(bucket, options, ctx);
    else await runtime.tenantService.deleteBucket(bucket, options, ctx);
  } catch (error) {
    if (options.force || !hasCode(error, 'bucket_not_empty')) throw error;
    throw new LocalError(error.code, `${error.message} --force deletes what it holds.`, { cause: error });
  }
}
