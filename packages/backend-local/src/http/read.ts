import { sendObject, sendObjectHead } from '@coffer/storage-core/http';

import { isSigned } from '../access.ts';
import type { ReadGrant } from '../access.ts';
import type { LocalBackend } from '../backend.ts';
import { contextFor } from './exchange.ts';
import type { Exchange, Target } from './exchange.ts';

/** GET and HEAD: a URL presigned for GET works for both. */
export async function answerRead(backend: LocalBackend, { at, query }: Target, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const signed = isSigned(query);
  const grant: Partial<ReadGrant> = signed ? await backend.access.verifyRead(at, query) : {};
  const { contentDisposition, contentType } = grant;
  const ctx = contextFor(exchange, grant);
  const source = signed ? backend : backend.access.anonymous;
  const options = {
    ...(contentDisposition !== undefined && { contentDisposition }),
    ...(contentType !== undefined && { contentType }),
    // A signed response must not stay in shared caches, and a public object may stop being public.
    headers: { 'cache-control': signed ? 'private' : 'no-cache' },
  };
  if (request.method === 'HEAD') sendObjectHead(request, response, await source.head(at, ctx), options);
  else await sendObject(request, response, (getOptions) => source.get(at, getOptions, ctx), options);
}
