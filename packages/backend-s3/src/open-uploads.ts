import type { CallContext } from '@coffer/storage-core';

import type { OpenUpload, UploadMarker } from './administration.ts';
import { assertAdvances } from './paging.ts';
import { causeName } from './provider-error.ts';
import type { Store } from './store.ts';

/** All multipart uploads of a bucket that are neither complete nor aborted. */
export async function openUploads(store: Store, bucket: string, ctx: CallContext): Promise<readonly OpenUpload[]> {
  const found: OpenUpload[] = [];
  let after: UploadMarker | undefined;
  do {
    const { uploads, next } = await store.administration.listUploads(bucket, after, ctx).catch((error: unknown) => {
      // gofakes3 knows no list of uploads in a bucket that has never had one, and calls that NoSuchUpload. It would hide what is on later pages.
      if (after === undefined && causeName(error) === 'NoSuchUpload') return { uploads: [], next: undefined };
      throw error;
    });
    assertAdvances(after, next);
    found.push(...uploads);
    after = next;
  } while (after !== undefined);
  return found;
}
