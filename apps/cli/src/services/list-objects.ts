import type { ListPage } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface ListRequest {
  readonly prefix: string;
  readonly delimiter?: string;
  readonly limit?: number;
}

const largestPage = 1000;

/** Pages of the listing; with a limit, objects and common prefixes beyond it are left out, and `isTruncated` says whether there are any. */
export async function* listObjects(session: Session, request: ListRequest): AsyncGenerator<ListPage, void, undefined> {
  const { storage, ctx } = session;
  const { prefix, delimiter, limit = Number.POSITIVE_INFINITY } = request;
  const bucket = await session.bucket();
  let token: string | undefined;
  for (let left = limit; left > 0;) {
    const page: ListPage = await storage.listFiles(
      {
        bucket,
        prefix,
        maxKeys: Math.min(left, largestPage),
        ...(delimiter !== undefined && { delimiter }),
        ...(token !== undefined && { continuationToken: token }),
      },
      ctx,
    );
    yield page;
    left -= page.objects.length + page.commonPrefixes.length;
    token = page.isTruncated ? page.nextContinuationToken : undefined;
    if (token === undefined) return;
  }
}
