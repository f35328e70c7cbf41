import { storageError } from './errors.ts';
import { compareKeys, maxKeyBytes } from './key.ts';
import type { ListOptions, ListPage, ObjectSummary } from './object.ts';

/** @throws invalid_argument for options that no provider could list by */
export function assertListOptions({ prefix = '', delimiter = '', maxKeys = 1000, continuationToken, onNextToken }: ListOptions): void {
  if (!(Number.isInteger(maxKeys) && maxKeys >= 1 && maxKeys <= 1000)) {
    throw storageError('invalid_argument', 'maxKeys must be a whole number from 1 to 1,000.');
  }
  for (const text of [prefix, delimiter]) assertSelects(text);
  if (continuationToken !== undefined && typeof continuationToken !== 'string')
    throw storageError('invalid_argument', 'A continuation token must be the string that the previous page gave.');
  if (onNextToken !== undefined && typeof onNextToken !== 'function')
    throw storageError('invalid_argument', 'onNextToken must be a function.');
}

/** @throws invalid_argument for a prefix or delimiter that no key could have */
export function assertSelects(text: string): void {
  if (typeof text !== 'string' || !text.isWellFormed() || text.includes('\0'))
    throw storageError('invalid_argument', 'A prefix or delimiter must be a string of valid Unicode without NUL.');
  if (Buffer.byteLength(text) > maxKeyBytes)
    throw storageError('invalid_argument', `A prefix or delimiter must have at most ${maxKeyBytes} bytes.`);
}

/**
 * A listing that has not been read yet: `await` it for the first page, iterate over it for every object, or use `pages()`. Each use asks
 * the backend anew.
 */
export class ObjectListing implements PromiseLike<ListPage>, AsyncIterable<ObjectSummary> {
  readonly #page: (token: string | undefined) => Promise<ListPage>;

  constructor(page: (token: string | undefined) => Promise<ListPage>) {
    this.#page = page;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- `await listFiles()` giving the first page is the promise of this class
  then<A = ListPage, B = never>(
    onFulfilled?: ((page: ListPage) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#page(undefined).then(onFulfilled, onRejected);
  }

  /** All pages, one by one. */
  async *pages(): AsyncGenerator<ListPage, void, undefined> {
    let token: string | undefined;
    do {
      const page = await this.#page(token);
      yield page;
      token = page.isTruncated ? page.nextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ObjectSummary, void, undefined> {
    for await (const page of this.pages()) yield* page.objects;
  }
}

/**
 * The page that `options` asks for, from all objects of a bucket in any order. For backends that hold every key in memory; others page
 * where their keys are.
 * @throws invalid_argument for an invalid continuation token
 */
export function pageOf(all: Iterable<ObjectSummary>, options: ListOptions): ListPage {
  const { prefix = '', delimiter = '', maxKeys = 1000, continuationToken } = options;
  const after = continuationToken === undefined ? '' : nameOf(continuationToken);
  const objects: ObjectSummary[] = [];
  const commonPrefixes: string[] = [];
  let last = '';
  const matching = [...all].filter((object) => object.key.startsWith(prefix)).sort((a, b) => compareKeys(a.key, b.key));
  for (const { key, size, etag, lastModified, storageClass } of matching) {
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const name = end < 0 ? key : key.slice(0, end + delimiter.length);
    // Names come in key order, so those with a common prefix are adjacent, and those that an earlier page returned come first.
    if (compareKeys(name, after) <= 0 || name === last) continue;
    if (objects.length + commonPrefixes.length === maxKeys) {
      return { objects, commonPrefixes, isTruncated: true, nextContinuationToken: Buffer.from(last).toString('base64url') };
    }
    if (end < 0) objects.push({ key, size, etag, lastModified, storageClass });
    else commonPrefixes.push(name);
    last = name;
  }
  return { objects, commonPrefixes, isTruncated: false };
}

function nameOf(token: string): string {
  const name = Buffer.from(token, 'base64url').toString();
  if (name === '' || Buffer.from(name).toString('base64url') !== token) {
    throw storageError('invalid_argument', 'The continuation token does not come from a listing.');
  }
  return name;
}
