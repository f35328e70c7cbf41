import { setImmediate } from 'node:timers/promises';

import type { ListPage, ObjectSummary, StorageService } from '@coffer/storage-core';

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
  readonly delimiter?: string | undefined;
}

/**
 * Pages of the listing. With a limit, objects and common prefixes beyond it are left out, and `isTruncated` says whether there are
 * any. The next page is fetched while the current one is used.
 */
export async function* listObjects(session: Session, request: ListRequest): AsyncGenerator<ListPage, void, undefined> {
  const { prefix, delimiter, limit } = request;
  let isEmpty = true;
  for await (const page of new PageReader(session, { bucket: await session.bucket(), prefix, delimiter }, limit).pages()) {
    isEmpty &&= page.objects.length + page.commonPrefixes.length === 0;
    yield page;
  }
  // In other tools, it could be a pattern, or a path.
  if (isEmpty && /^\/|[*?]/.test(prefix)) session.note(`note: no key begins with ${prefix}; a prefix is taken literally.`);
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
  const pages = new PageReader(session, at).pages(isReadOnly ? maxPageSize : smallPageSize);
  for await (const { objects } of pages) yield objects;
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

/** Reads a listing page by page. Requests the next page as soon as its token is known, while the current one still arrives. */
class PageReader {
  readonly #session: Session;
  readonly #at: ListLocation;
  readonly #limit: number;
  /** How much of the limit is left for the page that is awaited, and those after it. */
  #remaining: number;
  /** The page that is awaited: only the one after it is requested early. */
  #awaited: PageRequest | undefined;
  #early: PageRequest | undefined;

  constructor(session: Session, at: ListLocation, limit = Number.POSITIVE_INFINITY) {
    this.#session = session;
    this.#at = at;
    this.#limit = limit;
    this.#remaining = limit;
  }

  async *pages(firstPageSize = maxPageSize): AsyncGenerator<ListPage, void, undefined> {
    let request: PageRequest | undefined = this.#request(Math.min(this.#remaining, firstPageSize));
    while (request !== undefined) {
      const page = await this.#receive(request);
      this.#remaining -= page.objects.length + page.commonPrefixes.length;
      request = this.#requestAfter(page);
      if (request !== undefined) await setImmediate(); // sends the request before this page is processed
      const isCut = page.isTruncated && request === undefined;
      yield isCut && this.#limit > maxPageSize && !(await this.#isMoreAfter(page)) ? { ...page, isTruncated: false } : page;
    }
  }

  async #receive(request: PageRequest): Promise<ListPage> {
    this.#awaited = request;
    this.#requestEarly();
    const page = await request.page;
    this.#awaited = undefined;
    return page;
  }

  #requestEarly(): void {
    const awaited = this.#awaited;
    if (awaited?.next === undefined || this.#remaining <= awaited.maxKeys) return;
    this.#early ??= this.#request(Math.min(this.#remaining - awaited.maxKeys, maxPageSize), awaited.next);
  }

  #requestAfter(page: ListPage): PageRequest | undefined {
    const early = this.#early;
    this.#early = undefined;
    const token = page.isTruncated && this.#remaining > 0 ? page.nextContinuationToken : undefined;
    if (token === undefined) return undefined;
    return early?.token === token ? early : this.#request(Math.min(this.#remaining, maxPageSize), token);
  }

  #request(maxKeys: number, token?: string): PageRequest {
    const onNextToken = (next: string): void => {
      request.next = next;
      this.#requestEarly();
    };
    const page = this.#list({ maxKeys, continuationToken: token, onNextToken });
    page.catch(() => {}); // an error is thrown where the page is awaited, if it still is
    const request: PageRequest = { token, maxKeys, page };
    return request;
  }

  /** Asks whether anything follows: MinIO calls a third page truncated although nothing does. */
  async #isMoreAfter({ nextContinuationToken: continuationToken }: ListPage): Promise<boolean> {
    try {
      const { objects, commonPrefixes } = await this.#list({ maxKeys: 1, continuationToken });
      return objects.length + commonPrefixes.length > 0;
    } catch {
      return true; // the page has arrived; what the server said about it stands
    }
  }

  async #list(options: Parameters<StorageService['listFiles']>[0]): Promise<ListPage> {
    const { storage, ctx } = this.#session;
    return storage.listFiles({ ...this.#at, ...options }, ctx);
  }
}
