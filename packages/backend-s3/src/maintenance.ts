import { hasCode } from '@coffer/storage-core';
import type { CallContext, MaintenanceOperations, StorageErrorCode, SweepOptions, SweepReport } from '@coffer/storage-core';

import type { ListedParts, OpenUpload } from './administration.ts';
import { BucketFailures } from './bucket-failures.ts';
import { listBuckets } from './bucket-list.ts';
import { inParallel } from './concurrency.ts';
import { assertAdvances } from './paging.ts';
import { isAbandoned, removeSandbox, sweepSandboxesIn } from './probe/abandoned-sandboxes.ts';
import type { Sweep } from './probe/abandoned-sandboxes.ts';
import { causeName } from './provider-error.ts';
import type { Store } from './store.ts';
import { abortUpload } from './upload/multipart.ts';
import { openUploads } from './open-uploads.ts';

// Together these stay below the default number of sockets, so a sweep blocks nobody.
const [bucketsAtOnce, uploadsAtOnce] = [4, 2];

const emptyReport: SweepReport = { removed: 0, bytes: 0 };

/** Answers to a list of uploads that mean that there is nothing to sweep: buckets may disappear meanwhile. */
const unlistedInAny: readonly StorageErrorCode[] = ['no_such_bucket', 'not_supported'];

/** What a sweep looks at. */
interface Targets {
  readonly buckets: readonly string[];
  /** Buckets that probes of the endpoint left behind. */
  readonly sandboxes: readonly string[];
}

export function maintenanceOperations(store: Store): MaintenanceOperations {
  return {
    /**
     * Aborts stale multipart uploads in the buckets of the credentials, which others may use as well. Also removes what probes of the
     * endpoint left behind, unless the bucket is the caller's. Errors of single buckets are thrown after the others have been swept. Buckets
     * that let nobody in are passed over, unless the caller names the bucket, or chooses among them.
     */
    async sweep({ olderThan, dryRun = false, bucket: onlyBucket, among }, ctx) {
      // By the server's clock, which dated what is inspected. The first request learns it.
      const before = (): number => store.connection.clock.now() - olderThan * 1000;
      const failures = new BucketFailures(bucketsAtOnce);
      const isAsked = onlyBucket !== undefined || among !== undefined;
      const unlisted: readonly StorageErrorCode[] = isAsked ? unlistedInAny : [...unlistedInAny, 'access_denied'];
      const targets =
        onlyBucket === undefined ? await findTargets(store, { before, among }, ctx) : { buckets: [onlyBucket], sandboxes: [] };
      const { buckets, sandboxes } = targets;
      const reports = await inParallel(buckets, bucketsAtOnce, (bucket) =>
        failures.tolerate(bucket, emptyReport, () => sweepBucket(store, bucket, { before, dryRun, unlisted }, ctx), ctx),
      );
      let removedSandboxes = 0;
      // Sandboxes come last: those that cannot be removed, however many, do not keep other buckets from being swept.
      for (const name of sandboxes) {
        if (dryRun || (await failures.tolerate(name, false, () => removeSandbox(store, name, ctx), ctx))) removedSandboxes++;
      }
      failures.report();
      return {
        removed: reports.reduce((sum, { removed }) => sum + removed, removedSandboxes),
        bytes: reports.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    },
  };
}

async function findTargets(
  store: Store,
  { before, among }: Pick<Sweep, 'before'> & { readonly among: SweepOptions['among'] | undefined },
  ctx: CallContext,
): Promise<Targets> {
  const all = await listBuckets(store, ctx);
  const old = all.filter((bucket) => isAbandoned(store, bucket, before())).map(({ name }) => name);
  const kept = new Set(old.length > 0 ? await among?.(old) : []);
  const sandboxes = old.filter((name) => !kept.has(name));
  const others = all.map(({ name }) => name).filter((name) => !sandboxes.includes(name));
  return { buckets: among === undefined ? others : [...(await among(others))], sandboxes };
}

async function sweepBucket(
  store: Store,
  bucket: string,
  sweep: Sweep & { readonly unlisted: readonly StorageErrorCode[] },
  ctx: CallContext,
): Promise<SweepReport> {
  const { before, dryRun, unlisted } = sweep;
  let [removed, bytes] = [await sweepSandboxesIn(store, bucket, sweep, ctx), 0];
  for await (const uploads of openUploads(store, bucket, ctx, unlisted)) {
    const stale = uploads.filter(({ initiatedAt }) => initiatedAt.getTime() <= before());
    await inParallel(stale, uploadsAtOnce, async (upload) => {
      const parts = await partsOf(store, upload, ctx);
      if (parts === undefined || !isStale(upload, parts, before())) return;
      if (!dryRun) await abortUpload(store, upload, ctx);
      removed++;
      bytes += parts.size;
    });
  }
  return { removed, bytes };
}

/** If the server does not say when an upload began, it is as old as its latest part. Without parts, it may still be in use. */
function isStale({ initiatedAt }: OpenUpload, { latest }: Parts, before: number): boolean {
  const time = initiatedAt.getTime() > 0 ? initiatedAt.getTime() : latest.getTime();
  return time > 0 && time <= before;
}

type Parts = Omit<ListedParts, 'next'>;

/** Undefined if the upload is gone. */
async function partsOf(store: Store, upload: OpenUpload, ctx: CallContext): Promise<Parts | undefined> {
  let [size, latest, after]: [number, Date, string | undefined] = [0, new Date(0), undefined];
  try {
    do {
      const page = await store.administration.listParts(upload, after, ctx);
      size += page.size;
      if (page.latest > latest) ({ latest } = page);
      assertAdvances(after, page.next);
      after = page.next;
    } while (after !== undefined);
  } catch (error) {
    // Ceph answers NoSuchKey if somebody else aborts the upload at the same time.
    if (causeName(error) === 'NoSuchUpload' || hasCode(error, 'file_not_found', 'no_such_bucket')) return undefined;
    throw error;
  }
  return { size, latest };
}
