import type { IncomingMessage, ServerResponse } from 'node:http';

import { noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';
import { sendObject, sendObjectHead } from '@coffer/storage-core/http';

import { isSigned } from '../access.ts';
import type { LocalBackend } from '../backend.ts';

/** An object, and what the URL says besides. */
export interface Target {
  readonly at: ObjectAddress;
  readonly query: URLSearchParams;
}

/** GET and HEAD: a presigned URL for GET is good for both. */
export async function answerRead(
  backend: LocalBackend,
  { at, query }: Target,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const signed = isSigned(query);
  const { contentDisposition, contentType } = signed ? backend.access.verifyRead(at, query) : {};
  const source = signed ? backend : backend.access.anonymous;
  const options = {
    ...(contentDisposition !== undefined && { contentDisposition }),
    ...(contentType !== undefined && { contentType }),
    // What a signature opened must not stay in a cache that others share.
    ...(signed && { headers: { 'cache-control': 'private' } }),
  };
  if (request.method === 'HEAD') sendObjectHead(request, response, await source.head(at, noContext), options);
  else await sendObject(request, response, (asked) => source.get(at, asked, noContext), options);
}
