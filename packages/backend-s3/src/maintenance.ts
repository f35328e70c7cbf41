import { hasCode } from '@coffer/storage-core';
import type { CallContext, MaintenanceOperations } from '@coffer/storage-core';

import type { OpenUpload } from './administration.ts';
import { listBuckets } from './bucket-list.ts';
import { inParallel } from './call.ts';
import { deleteBucketByForce } from './empty-bucket.ts';
import { causeName } from './errors.ts';
import { abortUpload } from './multipart.ts';
import { isSandbox } from './sandbox-name.ts';
import type { Store } from './store.ts';
import type { ListedBucket } from './transport.ts';
import { openUploads } from './uploads.ts';

/** Milliseconds that trying out an endpoint may take; it is somebody's work until then. */
const longestProbe = 3_600_000;

export function maintenanceOperations(store: Store): MaintenanceOperations {
  return {
    /**
     * Aborts multipart uploads in the buckets of the credentials, which others may use as well, and removes the buckets in which
     * the endpoint was tried out.
     */
    async sweep({ olderThan, dryRun = false, among }, ctx) {
      const before = Date.now() - olderThan * 1000;
      let [removed, bytes] = [0, 0];
      const all = await listBuckets(store, ctx);
      const left = all.filter((bucket) => isAbandoned(bucket, Math.min(before, Date.now() - longestProbe)));
      for (const { name } of left) if (dryRun || (await isRemoved(store, name, ctx))) removed++;
      const listed = all.filter((bucket) => !left.includes(bucket)).map(({ name }) => name);
      for (const bucket of among === undefined ? listed : await among(listed)) {
        const stale = (await uploadsOf(store, bucket, ctx)).filter(({ since }) => since.getTime() <= before);
        const sizes = await inParallel(stale, 4, async (upload) => {
          const size = await sizeOfParts(store, upload, ctx);
          if (!dryRun && size !== undefined) await abortUpload(store, upload.at, upload.uploadId);
          return size;
        });
        const swept = sizes.filter((size) => size !== undefined);
        removed += swept.length;
        bytes += swept.reduce((sum, size) => sum + size, 0);
      }
      return { removed, bytes };
    },
  };
}

/** Of a process that ended while it tried out the endpoint. Where the server tells no date, it is somebody's for all we know. */
function isAbandoned({ name, createdAt }: ListedBucket, before: number): boolean {
  return isSandbox(name) && createdAt.getTime() > 0 && createdAt.getTime() <= before;
}

/** A bucket that may not be deleted keeps nothing else from being swept. */
async function isRemoved(store: Store, bucket: string, ctx: CallContext): Promise<boolean> {
  try {
    await deleteBucketByForce(store, bucket, ctx);
    return true;
  } catch (error) {
    if (hasCode(error, 'no_such_bucket') || hasCode(error, 'access_denied') || hasCode(error, 'bucket_not_empty')) return false;
    throw error;
  }
}

/** Buckets may go while they are swept, and one that lets nobody in keeps no other from being swept. */
async function uploadsOf(store: Store, bucket: string, ctx: CallContext): Promise<readonly OpenUpload[]> {
  try {
    return await openUploads(store, bucket, ctx);
  } catch (error) {
    if (hasCode(error, 'no_such_bucket') || hasCode(error, 'access_denied') || hasCode(error, 'not_supported')) return [];
    throw error;
  }
}

/** Undefined when the upload is gone. */
async function sizeOfParts(store: Store, upload: OpenUpload, ctx: CallContext): Promise<number | undefined> {
  let [size, after]: [number, string | undefined] = [0, undefined];
  try {
    do {
      const page = await store.administration.listParts(upload, after, ctx);
      size += page.size;
      after = page.next;
    } while (after !== undefined);
  } catch (error) {
    if (causeName(error) === 'NoSuchUpload' || hasCode(error, 'no_such_bucket')) return undefined;
    throw error;
  }
  return size;
}
