import { compareKeys, hasCode, isStorageError, storageError } from '@coffer/storage-core';
import type { CallContext, ListOptions, ListPage } from '@coffer/storage-core';

import { prefixClassesOf } from './profile.ts';
import type { Store } from './store.ts';

/** As servers answer to a token that is none. */
const tokenless: ReadonlySet<string> = new Set(['invalid_key', 'not_supported']);

export async function listObjects(store: Store, bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage> {
  const { delimiter = '', prefix = '' } = options;
  try {
    if (beginsNoKey(store, prefix)) {
      await store.transport.list(bucket, { prefix, maxKeys: 1 }, ctx); // the bucket may not be there
      return none;
    }
    if (delimiter === '' || delimiter === '/') return await store.transport.list(bucket, options, ctx);
    return await listRolledUp(store, bucket, options, ctx);
  } catch (error) {
    const hasToken = options.continuationToken !== undefined;
    if (hasToken && isStorageError(error) && error.cause !== undefined && tokenless.has(error.code)) throw noToken();
    // No key begins as the server lets none begin.
    if (hasCode(error, 'invalid_key')) return none;
    throw error;
  }
}

const none: ListPage = { objects: [], commonPrefixes: [], isTruncated: false };

/** A server that takes `a//` for `a/` would list what begins otherwise. To look is no reason to try one out: what is known counts. */
function beginsNoKey(store: Store, prefix: string): boolean {
  const refused = store.known?.refusedKeys ?? [];
  return refused.length > 0 && prefixClassesOf(prefix).some((name) => refused.includes(name));
}

// Tokens of lists with any other delimiter than "/": the server's own, or the common prefix that a page ends with. There, MinIO's
// token leads back to before the keys of that prefix, and a listing would never end.
const servers = 's.';
const prefixes = 'p.';
/** Behind every key that has a prefix: no character is greater. */
const greatest = '\u{10FFFF}';

async function listRolledUp(store: Store, bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage> {
  const { continuationToken, onNextToken: _, ...asked } = options;
  const place: Partial<Record<'continuationToken' | 'startAfter', string>> =
    continuationToken === undefined ? {} : placeOf(continuationToken);
  const told = await store.transport.list(bucket, { ...asked, ...place }, ctx);
  const page = { ...told, commonPrefixes: told.commonPrefixes.toSorted(compareKeys) }; // SeaweedFS tells those of its folders last
  if (place.startAfter !== undefined) {
    const [first] = [...page.commonPrefixes.slice(0, 1), ...page.objects.slice(0, 1).map(({ key }) => key)].toSorted(compareKeys);
    // It would come again and again.
    if (first !== undefined && compareKeys(first, place.startAfter) < 0)
      throw storageError('not_supported', 'This storage provider does not list from where a page ended with this delimiter.');
  }
  if (page.nextContinuationToken === undefined) return page;
  const [prefix, object] = [page.commonPrefixes.at(-1), page.objects.at(-1)?.key];
  const endsWithPrefix = prefix !== undefined && (object === undefined || compareKeys(prefix, object) > 0);
  const next = endsWithPrefix ? prefixes + Buffer.from(prefix).toString('base64url') : servers + page.nextContinuationToken;
  return { ...page, nextContinuationToken: next };
}

function placeOf(token: string): { readonly continuationToken: string } | { readonly startAfter: string } {
  const rest = token.slice(servers.length);
  if (token.startsWith(servers)) return { continuationToken: rest };
  const prefix = Buffer.from(rest, 'base64url').toString();
  if (!token.startsWith(prefixes) || prefix === '' || Buffer.from(prefix).toString('base64url') !== rest) throw noToken();
  return { startAfter: prefix + greatest };
}

function noToken(): Error {
  return storageError('invalid_argument', 'The continuation token is not one that a listing gave out.');
}
