import { ListMultipartUploadsCommand, ListPartsCommand } from '@aws-sdk/client-s3';
import { hasCode } from '@coffer/storage-core';
import type { CallContext, MaintenanceOperations, ObjectAddress } from '@coffer/storage-core';

import { listBuckets } from './bucket-list.ts';
import { call, inParallel } from './call.ts';
import { causeName } from './errors.ts';
import { abortUpload } from './multipart.ts';
import type { Store } from './store.ts';

export interface OpenUpload {
  readonly at: ObjectAddress;
  readonly uploadId: string;
  readonly since: Date;
}

/** All multipart uploads of a bucket that are neither complete nor aborted. */
export async function openUploads(store: Store, bucket: string, ctx: CallContext): Promise<readonly OpenUpload[]> {
  const found: OpenUpload[] = [];
  let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
  while (marker !== undefined) {
    // Not URL-encoded: some servers would encode without saying so.
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ Bucket: bucket, ...marker });
    const page = await call({ bucket, permission: 's3:ListBucketMultipartUploads' }, ctx, async (options) =>
      (await store.sdk()).client.send(command, options),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key !== undefined && UploadId !== undefined)
        found.push({ at: { bucket, key: Key }, uploadId: UploadId, since: Initiated ?? new Date(0) });
    }
    const isMore = page.IsTruncated === true && page.NextKeyMarker !== undefined && page.NextKeyMarker !== '';
    marker = isMore
      ? { KeyMarker: page.NextKeyMarker!, ...(page.NextUploadIdMarker && { UploadIdMarker: page.NextUploadIdMarker }) }
      : undefined;
  }
  return found;
}

export function maintenanceOperations(store: Store): MaintenanceOperations {
  return {
    /** Aborts multipart uploads in the buckets of the credentials, which others may use as well. */
    async sweep({ olderThan, dryRun = false, among }, ctx) {
      const before = Date.now() - olderThan * 1000;
      let [removed, bytes] = [0, 0];
      const listed = (await listBuckets(store, ctx)).map(({ name }) => name);
      for (const bucket of among === undefined ? listed : await among(listed)) {
        const stale = (await uploadsOf(store, bucket, ctx)).filter(({ since }) => since.getTime() <= before);
        const sizes = await inParallel(stale, 4, async ({ at, uploadId }) => {
          const size = await sizeOfParts(store, at, uploadId, ctx);
          if (!dryRun && size !== undefined) await abortUpload(store, at, uploadId);
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
    if (hasCode(error, 'no_such_bucket') || hasCode(error, 'access_denied')) return [];
    throw error;
  }
}

/** Undefined when the upload is gone. */
async function sizeOfParts(store: Store, at: ObjectAddress, uploadId: string, ctx: CallContext): Promise<number | undefined> {
  let [size, marker]: [number, string | undefined] = [0, undefined];
  try {
    do {
      const command: ListPartsCommand = new ListPartsCommand({
        Bucket: at.bucket,
        Key: at.key,
        UploadId: uploadId,
        ...(marker !== undefined && { PartNumberMarker: marker }),
      });
      const page = await call({ ...at, permission: 's3:ListMultipartUploadParts' }, ctx, async (options) =>
        (await store.sdk()).client.send(command, options),
      );
      for (const { Size = 0 } of page.Parts ?? []) size += Size;
      marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
    } while (marker !== undefined);
  } catch (error) {
    if (causeName(error) === 'NoSuchUpload' || hasCode(error, 'no_such_bucket')) return undefined;
    throw error;
  }
  return size;
}
