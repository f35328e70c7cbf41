import type { ListPage, ObjectSummary } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface ListRequest {
  readonly prefix: string;
  readonly delimiter?: string;
  readonly limit?: number;
}

const largestPage = 1000;

/**
 * Pages of the listing; with a limit, objects and common prefixes beyond it are left out, and `isTruncated` says whether there
 * are any. The next page is under way while one is used.
 */
export async function* listObjects(session: Session, request: ListRequest): AsyncGenerator<ListPage, void, undefined> {
  const { storage, ctx } = session;
  const { prefix, delimiter, limit = Number.POSITIVE_INFINITY } = request;
  const bucket = await session.bucket();
  let left = limit;
  const fetchPage = async (token?: string): Promise<ListPage> =>
    storage.listFiles(
      {
        bucket,
        prefix,
        maxKeys: Math.min(left, largestPage),
        ...(delimiter !== undefined && { delimiter }),
        ...(token !== undefined && { continuationToken: token }),
      },
      ctx,
    );
  for (let coming: Promise<ListPage> | undefined = fetchPage(); coming !== undefined;) {
    const page: ListPage = await coming;
    left -= page.objects.length + page.commonPrefixes.length;
    const token: string | undefined = page.isTruncated && left > 0 ? page.nextContinuationToken : undefined;
    coming = token === undefined ? undefined : fetchPage(token);
    coming?.catch(() => {}); // thrown where it is waited for, if it still is
    yield page;
  }
}

/** Every object below a prefix. The next page is under way while the objects of one are used, so that it waits for none of them. */
export async function* objectsBelow(
  { storage, ctx }: Session,
  at: { readonly bucket: string; readonly prefix?: string },
): AsyncGenerator<ObjectSummary, void, undefined> {
  const pages = storage.listFiles(at, ctx).pages();
  for (let coming = pages.next(); ;) {
    const page = await coming;
    if (page.done === true) return;
    coming = pages.next();
    coming.catch(() => {}); // thrown where it is waited for, if it still is
    yield* page.value.objects;
  }
}
