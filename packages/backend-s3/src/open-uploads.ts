import { hasCode } from '@coffer/storage-core';
import type { CallContext, StorageErrorCode } from '@coffer/storage-core';

import type { Administration, OpenUpload, UploadMarker } from './administration.ts';
import { assertAdvances } from './paging.ts';
import { causeName, isAboutAccount } from './provider-error.ts';
import type { Store } from './store.ts';

/**
 * All multipart uploads of a bucket that are neither complete nor aborted, page by page, however many there are. Each page is read before
 * the one in front of it is passed on: the caller may abort those uploads, and a server need not find its way on from one that is gone. If
 * that fails, as on Versity Gateway, which lists the first page only, it does so once the caller has seen to the page in front.
 * @param unlisted codes of errors that mean that there is nothing to list, unless they are about the account
 */
export async function* openUploads(
  store: Store,
  bucket: string,
  ctx: CallContext,
  unlisted: readonly StorageErrorCode[] = [],
): AsyncGenerator<readonly OpenUpload[], void> {
  const pageAfter = async (after: UploadMarker | undefined): Promise<Page> => {
    try {
      const page = await store.administration.listUploads(bucket, after, ctx);
      assertAdvances(after, page.next);
      return page;
    } catch (error) {
      // gofakes3 knows no list of uploads in a bucket that has never had one, and calls that NoSuchUpload. It would hide what is on later pages.
      const isUnlisted =
        (after === undefined && causeName(error) === 'NoSuchUpload') || (hasCode(error, ...unlisted) && !isAboutAccount(error));
      if (!isUnlisted) throw error;
      return { uploads: [] };
    }
  };
  for (let page: Page | undefined = await pageAfter(undefined); page !== undefined;) {
    const following: Promise<Page> | undefined = page.next && pageAfter(page.next);
    await following?.catch(() => {});
    yield page.uploads;
    page = await following;
  }
}

type Page = Awaited<ReturnType<Administration['listUploads']>>;
