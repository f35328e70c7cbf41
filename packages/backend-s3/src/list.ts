import { compareKeys, hasCode, keyProblem, storageError } from '@coffer/storage-core';
import type { CallContext, ListOptions, ListPage } from '@coffer/storage-core';

import { prefixClassesOf } from './key-classes.ts';
import { refusedKeys } from './key-support.ts';
import { assertAdvances } from './paging.ts';
import type { Store } from './store.ts';

export async function listObjects(store: Store, bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage> {
  const { prefix = '', continuationToken } = options;
  try {
    if (matchesNoKey(store, prefix)) return await nothingIn(store, bucket, ctx);
    if (continuationToken?.startsWith(dotsTokenPrefix) === true) return await listBelowDots(store, bucket, options, ctx);
    const page = await listPage(store, bucket, options, ctx);
    if (options.maxKeys !== 1 || !seemsToEndEarly(page, options)) return page;
    const { onNextToken: _, ...again } = options;
    return firstEntryOf(await listPage(store, bucket, { ...again, maxKeys: 2 }, ctx));
  } catch (error) {
    // This is how servers answer to an invalid token.
    const isAnswer = hasCode(error, 'invalid_key', 'not_supported') && error.cause !== undefined;
    if (isAnswer && continuationToken !== undefined) throw invalidToken();
    if (hasCode(error, 'invalid_key') && mayBeginDottedName(prefix)) return listBelowDots(store, bucket, options, ctx);
    // If the server refuses such keys, no key begins with this prefix.
    if (hasCode(error, 'invalid_key')) return nothingIn(store, bucket, ctx);
    if (!hasCode(error, 'invalid_argument') || !(await isRefused(store, bucket, prefix, ctx))) throw error;
    return nothingIn(store, bucket, ctx);
  }
}

/** MinIO refuses prefixes that end with `.` or `..` as a segment, although that may be the beginning of a name such as `.hidden`. */
function mayBeginDottedName(prefix: string): boolean {
  return /(?:^|\/)\.{1,2}$/.test(prefix) && keyProblem(`${prefix}x`) === undefined;
}

/** Lists the folder above from there on, and leaves out what has another prefix. */
async function listBelowDots(store: Store, bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage> {
  const { prefix = '', continuationToken, onNextToken: _, ...others } = options;
  if (others.delimiter?.startsWith('.') === true)
    throw storageError('not_supported', 'With this delimiter, this storage provider cannot list below a prefix that ends with a dot.');
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const start = continuationToken?.slice(dotsTokenPrefix.length) ?? tokenOf('p', `${prefix.slice(0, -1)}-`); // "-" is what precedes "."
  const page = await listObjects(store, bucket, { ...others, prefix: folder, continuationToken: start }, ctx);
  const objects = page.objects.filter(({ key }) => key.startsWith(prefix));
  const commonPrefixes = page.commonPrefixes.filter((name) => name.startsWith(prefix));
  const isPast = [...page.objects.map(({ key }) => key), ...page.commonPrefixes].some(
    (name) => !name.startsWith(prefix) && compareKeys(name, prefix) > 0,
  );
  if (page.nextContinuationToken === undefined || isPast) return { objects, commonPrefixes, isTruncated: false };
  return { objects, commonPrefixes, isTruncated: true, nextContinuationToken: dotsTokenPrefix + page.nextContinuationToken };
}

/** @throws no_such_bucket */
async function nothingIn(store: Store, bucket: string, ctx: CallContext): Promise<ListPage> {
  await store.transport.headBucket(bucket, ctx);
  return emptyPage;
}

const emptyPage: ListPage = { objects: [], commonPrefixes: [], isTruncated: false };

/**
 * A server that takes `a//` for `a/` would list keys with another prefix. A listing is no reason to probe: only what is already known
 * counts.
 */
function matchesNoKey(store: Store, prefix: string): boolean {
  const refused = store.endpoint.known?.refusedKeys ?? [];
  return refused.length > 0 && prefixClassesOf(prefix).some((name) => refused.includes(name));
}

/** Whether the server may be rejecting the prefix as an invalid argument, as RustFS does. */
async function isRefused(store: Store, bucket: string, prefix: string, ctx: CallContext): Promise<boolean> {
  return (await refusedKeys(store, bucket, prefixClassesOf(prefix), ctx)).length > 0;
}

/**
 * Asked for one entry, MinIO finds an object whose key equals the prefix and then reports that this is all. And on a page that continues
 * after a folder with an object of the same name, it counts both before it leaves them out, and reports that nothing is left.
 */
function seemsToEndEarly({ objects, commonPrefixes, isTruncated }: ListPage, { prefix, continuationToken }: ListOptions): boolean {
  if (isTruncated || commonPrefixes.length > 0) return false;
  const [object] = objects;
  return continuationToken === undefined ? object !== undefined && object.key === prefix : object === undefined;
}

/** The first entry of a page of up to two. */
function firstEntryOf(page: ListPage): ListPage {
  const [prefix, object] = [page.commonPrefixes[0], page.objects[0]];
  if (page.commonPrefixes.length + page.objects.length < 2) return page;
  if (object !== undefined && (prefix === undefined || compareKeys(object.key, prefix) < 0))
    return { objects: [object], commonPrefixes: [], isTruncated: true, nextContinuationToken: tokenOf('k', object.key) };
  return { objects: [], commonPrefixes: [prefix!], isTruncated: true, nextContinuationToken: tokenOf('p', prefix!) };
}

/** A page as the server returns it, but with tokens of our own. */
async function listPage(store: Store, bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage> {
  const { continuationToken, onNextToken, ...request } = options;
  const { delimiter = '' } = request;
  const position: Position = continuationToken === undefined ? {} : positionOf(continuationToken);
  if (delimiter !== '' && delimiter !== '/') return listRolledUp(store, bucket, { ...request, ...position }, ctx);
  const forward = onNextToken === undefined ? {} : { onNextToken: (token: string) => onNextToken(serverTokenPrefix + token) };
  const { nextContinuationToken: token, ...page } = await fetchPage(store, bucket, { ...request, ...position, ...forward }, ctx);
  return { ...page, ...(token !== undefined && { nextContinuationToken: tokenOfPlace(lastOf(page), token) ?? serverTokenPrefix + token }) };
}

async function listRolledUp(store: Store, bucket: string, options: ListOptions & Position, ctx: CallContext): Promise<ListPage> {
  const { startAfter, delimiter = '' } = options;
  const page = await fetchPage(store, bucket, options, ctx);
  // s3s-fs rolls keys up to the first character of a delimiter.
  if (!page.commonPrefixes.every((name) => name.endsWith(delimiter)))
    throw storageError('not_supported', 'This storage provider cannot list by this delimiter.');
  if (startAfter !== undefined) {
    const [first] = [...page.commonPrefixes.slice(0, 1), ...page.objects.slice(0, 1).map(({ key }) => key)].toSorted(compareKeys);
    // The same page would come again and again.
    if (first !== undefined && compareKeys(first, startAfter) < 0)
      throw storageError('not_supported', 'With this delimiter, this storage provider cannot continue a listing from where a page ended.');
  }
  const { nextContinuationToken: token } = page;
  if (token === undefined) return page;
  const last = lastOf(page);
  const isPrefix = last !== undefined && last === page.commonPrefixes.at(-1);
  // Such a key is not a common prefix if the delimiter begins inside the prefix of the list. Ceph takes it for one, and continues after it.
  const place = isPrefix ? last + highest : last?.endsWith(delimiter) === true ? last + lowest : last;
  const hasOwnPlace = place !== undefined && place !== last;
  const next = tokenOfPlace(place, token) ?? (hasOwnPlace ? tokenOf('k', place) : serverTokenPrefix + token);
  return { ...page, nextContinuationToken: next };
}

/** The object or common prefix that a page ends with. */
function lastOf({ objects, commonPrefixes }: Pick<ListPage, 'objects' | 'commonPrefixes'>): string | undefined {
  return [...commonPrefixes.slice(-1), ...objects.slice(-1).map(({ key }) => key)].toSorted(compareKeys).at(-1);
}

/**
 * @throws not_supported if the server ignores the token, so that the same page would come for ever, or ignores the prefix: callers may
 * delete what is listed
 */
async function fetchPage(store: Store, bucket: string, options: ListOptions & Position, ctx: CallContext): Promise<ListPage> {
  const { prefix = '', continuationToken } = options;
  // MinIO of early 2021 fills pages of unstated size with thousands.
  const page = await store.transport.list(bucket, { ...options, maxKeys: options.maxKeys ?? 1000 }, ctx);
  const isOfSameList = listOf(page.nextContinuationToken) === listOf(continuationToken);
  const unremembered = isOfSameList ? undefined : tokenOfNoList(continuationToken, prefix);
  if (unremembered !== undefined) return fetchPage(store, bucket, { ...options, continuationToken: unremembered }, ctx);
  const isBelow = page.objects.every(({ key }) => key.startsWith(prefix)) && page.commonPrefixes.every((name) => name.startsWith(prefix));
  if (!isBelow) {
    if (await isRefused(store, bucket, prefix, ctx)) return emptyPage;
    throw storageError('not_supported', 'This storage provider cannot list by prefix.');
  }
  assertAdvances(continuationToken, page.nextContinuationToken);
  return { ...page, commonPrefixes: page.commonPrefixes.toSorted(compareKeys) }; // SeaweedFS sorts folders by their names without a "/"
}

type Position = Partial<Record<'continuationToken' | 'startAfter', string>>;

// A token is either the server's own, or the key or common prefix that a page ends with: where a page was cut, and with delimiters other
// than "/". With those, MinIO's token leads back to before the keys of that prefix, and a listing would never end.
const serverTokenPrefix = 's.';
/** Of lists below dots; the rest is a token of the folder above. */
const dotsTokenPrefix = 'd.';
/** Sorts after every key that begins with a given prefix: no character is greater. */
const highest = '\u{10FFFF}';
/**
 * Sorts before every continuation of a key, since no key has control characters. XML can hold this one, and some servers repeat
 * `start-after` in their answers.
 */
const lowest = '\t';

function tokenOf(kind: 'k' | 'p', name: string): string {
  return `${kind}.${Buffer.from(name).toString('base64url')}`;
}

/**
 * After a place in a folder, MinIO counts the neighbours of that folder towards the page before it leaves them out, and then reports that
 * nothing is left; but not if the place comes with the note that ends its own tokens. Those name a place as well, which lies beyond what
 * the page ends with if MinIO has forgotten the list: what is between would be missing. The last `[` begins the note: a key may hold others.
 * @param token the server's own
 * @returns undefined if that is not of MinIO
 */
function tokenOfPlace(place: string | undefined, token: string): string | undefined {
  const note = /\[minio_cache:[^[\]]*\]$/.exec(Buffer.from(token, 'base64').toString())?.[0];
  return note === undefined || place === undefined ? undefined : serverTokenPrefix + Buffer.from(place + note).toString('base64');
}

/**
 * MinIO forgets a list 15 minutes after its last page, or when it is restarted. A token that names such a list is then a place only, and what
 * `tokenOfPlace` tells of may end the list, or leave out the rest of a folder; a token that asks for a new list is believed.
 * @returns such a token; undefined if the given one names no list, or a place that is in no folder of this one
 */
function tokenOfNoList(token = '', prefix: string): string | undefined {
  const told = Buffer.from(token, 'base64').toString();
  const place = told.replace(/(\[minio_cache:[^,[\]]*),id:[^[\]]*\]$/, '$1,return:]');
  const isInFolder = told.includes('/', prefix.lastIndexOf('/') + 1);
  return place === told || !isInFolder ? undefined : Buffer.from(place).toString('base64');
}

/** The list that a token of MinIO names. Until MinIO forgets it, each of its pages but the last one ends with a token that names it too. */
function listOf(token = ''): string | undefined {
  return /\[minio_cache:[^,[\]]*,id:([^,[\]]*)[^[\]]*\]$/.exec(Buffer.from(token, 'base64').toString())?.[1];
}

function positionOf(token: string): Position {
  const rest = token.slice(serverTokenPrefix.length);
  if (token.startsWith(serverTokenPrefix) && rest !== '') return { continuationToken: rest };
  const name = Buffer.from(rest, 'base64url').toString();
  if (name === '') throw invalidToken();
  if (token === tokenOf('k', name)) return { startAfter: name };
  if (token === tokenOf('p', name)) return { startAfter: name + highest };
  throw invalidToken();
}

function invalidToken(): Error {
  return storageError('invalid_argument', 'The continuation token does not come from a listing.');
}
