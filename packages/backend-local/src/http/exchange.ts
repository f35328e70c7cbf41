import type { IncomingMessage, ServerResponse } from 'node:http';

import type { CallContext, ObjectAddress } from '@coffer/storage-core';

import type { SignedFor } from '../access.ts';

/** One request, and the context of the calls that it leads to. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly ctx: CallContext;
}

/** An object, and the query of its URL. */
export interface Target {
  readonly at: ObjectAddress;
  readonly query: URLSearchParams;
}

/** The call is counted for the tenant that the signature names. */
export function contextFor({ ctx }: Exchange, { tenant }: SignedFor): CallContext {
  return tenant === undefined ? ctx : { ...ctx, tenant };
}
