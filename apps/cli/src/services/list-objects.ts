import { setImmediate } from 'node:timers/promises';

import type { ListPage, ObjectSummary } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface ListRequest {
  readonly prefix: string;
  readonly delimiter?: string;
  readonly limit?: number;
}

const largestPage = 1000;
const smallPage = 250;

interface At {
  readonly bucket: string;
  readonly prefix?: string;
  readonly delimiter?: string;
}

/**
 * Pages of the listing; with a limit, objects and common prefixes beyond it are left out, and `isTruncated` says whether there
 * are any. The next page is under way while one is used.
 */
export async function* listObjects(session: Session, request: ListRequest): AsyncGenerator<ListPage, void, undefined> {
  const { prefix, delimiter, limit } = request;
  const at = { bucket: await session.bucket(), prefix, ...(delimiter !== undefined && { delimiter }) };
  yield* pagesOf(session, at, limit === undefined ? {} : { limit });
}

/**
 * The objects below a prefix, page by page. Where something is done with each, the first page is a small one: there is work
 * while the second, which takes a server longer, is under way.
 */
export async function* pagesBelow(
  session: Session,
  at: At,
  { onlyLooks = false }: { readonly onlyLooks?: boolean } = {},
): AsyncGenerator<readonly ObjectSummary[], void, undefined> {
  for await (const { objects } of pagesOf(session, at, { firstPage: onlyLooks ? largestPage : smallPage })) yield objects;
}

/** The same, one by one. */
export async function* objectsBelow(...args: Parameters<typeof pagesBelow>): AsyncGenerator<ObjectSummary, void, undefined> {
  for await (const objects of pagesBelow(...args)) yield* objects;
}

async function* pagesOf(
  { storage, ctx }: Session,
  at: At,
  { limit = Number.POSITIVE_INFINITY, firstPage = largestPage }: { readonly limit?: number; readonly firstPage?: number },
): AsyncGenerator<ListPage, void, undefined> {
  let left = limit;
  const fetchPage = async (most: number, continuationToken?: string): Promise<ListPage> =>
    storage.listFiles({ ...at, maxKeys: Math.min(left, most), ...(continuationToken !== undefined && { continuationToken }) }, ctx);
  for (let coming: Promise<ListPage> | undefined = fetchPage(firstPage); coming !== undefined;) {
    const page: ListPage = await coming;
    left -= page.objects.length + page.commonPrefixes.length;
    const token: string | undefined = page.isTruncated && left > 0 ? page.nextContinuationToken : undefined;
    coming = token === undefined ? undefined : fetchPage(largestPage, token);
    coming?.catch(() => {}); // thrown where it is waited for, if it still is
    if (coming !== undefined) await setImmediate(); // the request leaves before this page is worked on
    yield page;
  }
}
