import type { CallContext } from '@coffer/storage-core';

import type { Administration, OpenUpload, UploadMarker } from './administration.ts';
import { assertAdvances } from './paging.ts';
import { causeName } from './provider-error.ts';
import type { Store } from './store.ts';

/** All multipart uploads of a bucket that are neither complete nor aborted. */
export async function openUploads(store: Store, bucket: string, ctx: CallContext): Promise<readonly OpenUpload[]> {
  const found: OpenUpload[] = [];
  let after: UploadMarker | undefined;
  do {
    const { uploads, next } = await store.administration.listUploads(bucket, after, ctx).catch(noneIfUnlisted);
    assertAdvances(after, next);
    found.push(...uploads);
    after = next;
  } while (after !== undefined);
  return found;
}

/** gofakes3 knows no list of uploads in a bucket that has never had one, and calls that NoSuchUpload. */
function noneIfUnlisted(error: unknown): Awaited<ReturnType<Administration['listUploads']>> {
  if (causeName(error) === 'NoSuchUpload') return { uploads: [] };
  throw error;
}
