import type { FileSweepReport } from '@coffer/files-db';
import type { SweepReport } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface Swept {
  /** Undefined where the backend has nothing to sweep. */
  readonly objects?: SweepReport;
  /** Undefined without a database. */
  readonly files?: FileSweepReport;
}

/** What the server does every hour. */
export async function sweep(session: Session, options: { readonly olderThan: number; readonly dryRun: boolean }): Promise<Swept> {
  const { storage, runtime, ctx, config } = session;
  const { olderThan, dryRun } = options;
  const files = config.storage.enabled ? await runtime?.files.sweep({ olderThanSeconds: olderThan, dryRun }, ctx) : undefined;
  const { bucket, sharedBucket } = config.storage;
  const among = async (buckets: readonly string[]): Promise<readonly string[]> =>
    runtime === undefined ? buckets.filter((name) => name === bucket || name === sharedBucket) : runtime.tenants.ours(buckets);
  const objects = storage.backend.maintenance === undefined ? undefined : await storage.sweep({ olderThan, dryRun, among }, ctx);
  return { ...(objects && { objects }), ...(files && { files }) };
}
