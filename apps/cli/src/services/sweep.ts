import type { FileSweepReport } from '@coffer/files-db';
import type { SweepReport } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface Swept {
  /** Undefined where the backend has nothing to sweep. */
  readonly objects?: SweepReport;
  /** Undefined without a database, and for one bucket. */
  readonly files?: FileSweepReport;
}

export interface SweepRequest {
  readonly olderThan: number;
  readonly dryRun: boolean;
  /** Unfinished uploads of just this one, whoever began them, and nothing of files. */
  readonly bucket?: string | undefined;
}

/** What the server does every hour, or the same in one bucket. */
export async function sweep(session: Session, options: SweepRequest): Promise<Swept> {
  const { storage, runtime, ctx, config } = session;
  const { bucket: named, olderThan, dryRun } = options;
  if (named !== undefined) await storage.requireBucket(named, ctx);
  const sweepsFiles = named === undefined && config.storage.enabled;
  const files = sweepsFiles ? await runtime?.files.sweep({ olderThanSeconds: olderThan, dryRun }, ctx) : undefined;
  const { bucket, sharedBucket } = config.storage;
  const among = async (buckets: readonly string[]): Promise<readonly string[]> =>
    runtime === undefined ? buckets.filter((name) => name === bucket || name === sharedBucket) : runtime.tenants.ours(buckets);
  const where = named === undefined ? { among } : { bucket: named };
  const objects = storage.backend.maintenance === undefined ? undefined : await storage.sweep({ olderThan, dryRun, ...where }, ctx);
  return { ...(objects && { objects }), ...(files && { files }) };
}
