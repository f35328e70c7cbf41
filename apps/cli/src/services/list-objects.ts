import { setImmediate } from 'node:timers/promises';

import type { ListOptions, ListPage, ObjectSummary } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface ListRequest {
  readonly prefix: string;
  readonly delimiter?: string | undefined;
  readonly limit?: number | undefined;
}

const largestPage = 1000;
const smallPage = 250;

interface At {
  readonly bucket: string;
  readonly prefix?: string;
  readonly delimiter?: string;
}

/**
 * Pages of the listing. With a limit, objects and common prefixes beyond it are left out, and `isTruncated` says whether there are
 * any. The next page is fetched while the current one is used.
 */
export async function* listObjects(session: Session, request: ListRequest): AsyncGenerator<ListPage, void, undefined> {
  const { prefix, delimiter, limit } = request;
  const at = { bucket: await session.bucket(), prefix, ...(delimiter && { delimiter }) };
  yield* pagesOf(session, at, { limit });
}

/**
 * The objects below a prefix, page by page. The first page is small, unless `onlyLooks`: so there is work to do while the server
 * prepares the second, which takes it longer.
 */
export async function* pagesBelow(
  session: Session,
  at: At,
  { onlyLooks = false }: { readonly onlyLooks?: boolean } = {},
): AsyncGenerator<readonly ObjectSummary[], void, undefined> {
  for await (const { objects } of pagesOf(session, at, { firstPage: onlyLooks ? largestPage : smallPage })) yield objects;
}

/** The objects below a prefix, one by one. */
export async function* objectsBelow(session: Session, at: At): AsyncGenerator<ObjectSummary, void, undefined> {
  for await (const objects of pagesBelow(session, at)) yield* objects;
}

/** A page that has been requested. */
interface Asked {
  readonly token: string | undefined;
  readonly maxKeys: number;
  readonly page: Promise<ListPage>;
  /** The continuation token of the next page, once it is known. */
  next?: string;
}

async function* pagesOf(
  { storage, ctx }: Session,
  at: At,
  { limit = Number.POSITIVE_INFINITY, firstPage = largestPage }: { readonly limit?: number | undefined; readonly firstPage?: number },
): AsyncGenerator<ListPage, void, undefined> {
  let left = limit;
  /** The page that is being awaited: only the one after it is requested ahead. */
  let awaited: Asked | undefined;
  let ahead: Asked | undefined;
  const fetchPage = async (list: Pick<ListOptions, 'maxKeys' | 'continuationToken' | 'onNextToken'>): Promise<ListPage> =>
    storage.listFiles({ ...at, ...list }, ctx);
  const ask = (maxKeys: number, token?: string): Asked => {
    const onNextToken = (next: string): void => {
      asked.next = next;
      askAhead();
    };
    const page = fetchPage({ maxKeys, ...(token !== undefined && { continuationToken: token }), onNextToken });
    page.catch(() => {}); // an error is thrown where the page is awaited, if it still is
    const asked: Asked = { token, maxKeys, page };
    return asked;
  };
  const askAhead = (): void => {
    if (awaited?.next === undefined || left <= awaited.maxKeys) return;
    ahead ??= ask(Math.min(left - awaited.maxKeys, largestPage), awaited.next);
  };
  // MinIO calls a third page truncated although nothing follows it.
  const isMore = async ({ nextContinuationToken }: ListPage): Promise<boolean> => {
    const following = fetchPage({ maxKeys: 1, ...(nextContinuationToken !== undefined && { continuationToken: nextContinuationToken }) });
    return following.then(
      ({ objects, commonPrefixes }) => objects.length + commonPrefixes.length > 0,
      () => true, // this page has arrived; what the server said about it stands
    );
  };
  for (let asked: Asked | undefined = ask(Math.min(left, firstPage)); asked !== undefined;) {
    awaited = asked;
    askAhead();
    const page: ListPage = await asked.page;
    awaited = undefined;
    left -= page.objects.length + page.commonPrefixes.length;
    const token: string | undefined = page.isTruncated && left > 0 ? page.nextContinuationToken : undefined;
    const early = ahead as Asked | undefined;
    ahead = undefined;
    if (token === undefined) asked = undefined;
    else asked = early?.token === token ? early : ask(Math.min(left, largestPage), token);
    if (asked !== undefined) await setImmediate(); // sends the request before this page is processed
    const isCut = page.isTruncated && asked === undefined;
    yield isCut && limit > largestPage && !(await isMore(page)) ? { ...page, isTruncated: false } : page;
  }
}
