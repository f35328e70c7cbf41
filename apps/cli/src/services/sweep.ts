import type { FileSweepReport } from '@coffer/files-db';
import type { SweepReport } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface Swept {
  /** Undefined where the backend has nothing to sweep. */
  readonly objects?: SweepReport;
  /** Undefined without a database, and for a single bucket. */
  readonly files?: FileSweepReport;
}

export interface SweepRequest {
  readonly olderThan: number;
  readonly dryRun: boolean;
  /** Sweep only the unfinished uploads of this bucket, whoever began them, and no files. */
  readonly bucket?: string | undefined;
}

/** Sweeps what the server sweeps every hour, or the unfinished uploads of one bucket. */
export async function sweep(session: Session, options: SweepRequest): Promise<Swept> {
  const { storage, runtime, ctx, config } = session;
  const { bucket: named, olderThan, dryRun } = options;
  if (named !== undefined) await storage.requireBucket(named, ctx);
  const sweepsFiles = named === undefined && config.storage.enabled;
  const files = sweepsFiles ? await runtime?.files.sweep({ olderThanSeconds: olderThan, dryRun }, ctx) : undefined;
  const { bucket, sharedBucket } = config.storage;
  const among = async (buckets: readonly string[]): Promise<readonly string[]> =>
    runtime === undefined ? buckets.filter((name) => name === bucket || name === sharedBucket) : runtime.tenants.ours(buckets);
  const target = named === undefined ? { among } : { bucket: named };
  const objects = storage.backend.maintenance === undefined ? undefined : await storage.sweep({ olderThan, dryRun, ...target }, ctx);
  return { ...(objects && { objects }), ...(files && { files }) };
}
