import { hasCode } from '@coffer/storage-core';
import type { CallContext, MaintenanceOperations } from '@coffer/storage-core';

import { isAbandoned, removeSandbox, sweepSandboxesIn } from './abandoned-sandboxes.ts';
import type { OpenUpload } from './administration.ts';
import { listBuckets } from './bucket-list.ts';
import { inParallel } from './call.ts';
import { causeName } from './errors.ts';
import { abortUpload } from './multipart.ts';
import type { Store } from './store.ts';
import { openUploads } from './uploads.ts';

export function maintenanceOperations(store: Store): MaintenanceOperations {
  return {
    /**
     * Aborts multipart uploads in the buckets of the credentials, which others may use as well, and removes what was left where the
     * endpoint was tried out, unless the bucket is the caller's.
     */
    async sweep({ olderThan, dryRun = false, bucket: named, among }, ctx) {
      // By the server's clock, of which the first request learns: it has dated what is looked at.
      const before = (): number => store.connection.clock.now() - olderThan * 1000;
      let [removed, bytes] = [0, 0];
      /** Those that are to be swept; the sandboxes among the others are gone by then. */
      const ours = async (): Promise<Iterable<string>> => {
        const all = await listBuckets(store, ctx);
        const old = all.filter((bucket) => isAbandoned(store, bucket, before()));
        const kept = new Set(old.length > 0 ? await among?.(old.map(({ name }) => name)) : []);
        const left = old.filter(({ name }) => !kept.has(name));
        for (const { name } of left) if (dryRun || (await removeSandbox(store, name, ctx))) removed++;
        const listed = all.filter((bucket) => !left.includes(bucket)).map(({ name }) => name);
        return among === undefined ? listed : among(listed);
      };
      for (const bucket of named === undefined ? await ours() : [named]) {
        removed += await sweepSandboxesIn(store, bucket, { before, dryRun }, ctx);
        const stale = (await uploadsOf(store, bucket, ctx)).filter(({ since }) => since.getTime() <= before());
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
