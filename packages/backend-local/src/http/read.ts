import type { IncomingMessage, ServerResponse } from 'node:http';

import type { CallContext, ObjectAddress } from '@coffer/storage-core';
import { sendObject, sendObjectHead } from '@coffer/storage-core/http';

import { isSigned } from '../access.ts';
import type { ReadGrant } from '../access.ts';
import type { LocalBackend } from '../backend.ts';

/** An object, and what the URL says besides. */
export interface Target {
  readonly at: ObjectAddress;
  readonly query: URLSearchParams;
}

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly ctx: CallContext;
}

/** The call counts for the tenant that the signature names. */
export function contextFor({ ctx }: Exchange, { tenant }: { readonly tenant?: string }): CallContext {
  return tenant === undefined ? ctx : { ...ctx, tenant };
}

/** GET and HEAD: a presigned URL for GET is good for both. */
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
    // What a signature opened must not stay in a cache that others share, and what is public may not be so for ever.
    headers: { 'cache-control': signed ? 'private' : 'no-cache' },
  };
  if (request.method === 'HEAD') sendObjectHead(request, response, await source.head(at, ctx), options);
  else await sendObject(request, response, (asked) => source.get(at, asked, ctx), options);
}
