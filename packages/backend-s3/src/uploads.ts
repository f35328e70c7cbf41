import type { CallContext } from '@coffer/storage-core';

import type { OpenUpload, UploadMarker } from './administration.ts';
import { assertAdvances } from './paging.ts';
import type { Store } from './store.ts';

/** All multipart uploads of a bucket that are neither complete nor aborted. */
export async function openUploads(store: Store, bucket: string, ctx: CallContext): Promise<readonly OpenUpload[]> {
  const found: OpenUpload[] = [];
  let after: UploadMarker | undefined;
  do {
    const { uploads, next } = await store.administration.listUploads(bucket, after, ctx);
    assertAdvances(after, next);
    found.push(...uploads);
    after = next;
  } while (after !== undefined);
  return found;
}
