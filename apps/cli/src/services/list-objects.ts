import { setImmediate } from 'node:timers/promises';

import type { ListOptions, ListPage, ObjectSummary } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface ListRequest {
  readonly prefix: string;
  readonly delimiter?: string | undefined;
  readonly limit?: number | undefined;
}

const maxPageSize = 1000;
const smallPageSize = 250;

interface ListLocation {
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
 * The objects below a prefix, page by page. The first page is small, unless `isReadOnly`: so there is work to do while the server
 * prepares the second, which takes it longer.
 */
export async function* pagesBelow(
  session: Session,
  at: ListLocation,
  { isReadOnly = false }: { readonly isReadOnly?: boolean } = {},
): AsyncGenerator<readonly ObjectSummary[], void, undefined> {
  for await (const { objects } of pagesOf(session, at, { firstPage: isReadOnly ? maxPageSize : smallPageSize })) yield objects;
}

/** The objects below a prefix, one by one. */
export async function* objectsBelow(session: Session, at: ListLocation): AsyncGenerator<ObjectSummary, void, undefined> {
  for await (const objects of pagesBelow(session, at)) yield* objects;
}

/** A page that has been requested. */
interface PageRequest {
  readonly token: string | undefined;
  readonly maxKeys: number;
  readonly page: Promise<ListPage>;
  /** The continuation token of the next page, once it is known. */
  next?: string;
}

async function* pagesOf(
  { storage, ctx }: Session,
  at: ListLocation,
  { limit = Number.POSITIVE_INFINITY, firstPage = maxPageSize }: { readonly limit?: number | undefined; readonly firstPage?: number },
): AsyncGenerator<ListPage, void, undefined> {
  let remaining = limit;
  /** The page that is being awaited: only the one after it is requested ahead. */
  let current: PageRequest | undefined;
  let prefetched: PageRequest | undefined;
  const fetchPage = async (list: Pick<ListOptions, 'maxKeys' | 'continuationToken' | 'onNextToken'>): Promise<ListPage> =>
    storage.listFiles({ ...at, ...list }, ctx);
  const requestPage = (maxKeys: number, token?: string): PageRequest => {
    const onNextToken = (next: string): void => {
      pageRequest.next = next;
      prefetch();
    };
    const page = fetchPage({ maxKeys, ...(token !== undefined && { continuationToken: token }), onNextToken });
    page.catch(() => {}); // an error is thrown where the page is awaited, if it still is
    const pageRequest: PageRequest = { token, maxKeys, page };
    return pageRequest;
  };
  const prefetch = (): void => {
    if (current?.next === undefined || remaining <= current.maxKeys) return;
    prefetched ??= requestPage(Math.min(remaining - current.maxKeys, maxPageSize), current.next);
  };
  // MinIO calls a third page truncated although nothing follows it.
  const isMore = async ({ nextContinuationToken }: ListPage): Promise<boolean> => {
    const following = fetchPage({ maxKeys: 1, ...(nextContinuationToken !== undefined && { continuationToken: nextContinuationToken }) });
    return following.then(
      ({ objects, commonPrefixes }) => objects.length + commonPrefixes.length > 0,
      () => true, // this page has arrived; what the server said about it stands
    );
  };
  for (let pageRequest: PageRequest | undefined = requestPage(Math.min(remaining, firstPage)); pageRequest !== undefined;) {
    current = pageRequest;
    prefetch();
    const page: ListPage = await pageRequest.page;
    current = undefined;
    remaining -= page.objects.length + page.commonPrefixes.length;
    const token: string | undefined = page.isTruncated && remaining > 0 ? page.nextContinuationToken : undefined;
    const early = prefetched as PageRequest | undefined;
    prefetched = undefined;
    if (token === undefined) pageRequest = undefined;
    else pageRequest = early?.token === token ? early : requestPage(Math.min(remaining, maxPageSize), token);
    if (pageRequest !== undefined) await setImmediate(); // sends the request before this page is processed
    const isCut = page.isTruncated && pageRequest === undefined;
    yield isCut && limit > maxPageSize && !(await isMore(page)) ? { ...page, isTruncated: false } : page;
  }
}
