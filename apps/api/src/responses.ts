import { STATUS_CODES } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';

import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { RouteConfig, z } from '@hono/zod-openapi';

import type { StorageErrorCode } from '@coffer/storage-core';
import { closeIfUnread, hasBody, sendProblem, statusByCode } from '@coffer/storage-core/http';

import type { AppContext } from './app-env.ts';
import {
  partHeaders,
  retryHeaders,
  sentHeaders,
  unauthorizedHeaders,
  unchangedFileHeaders,
  unchangedHeaders,
  unsatisfiableRangeHeaders,
} from './documented-headers.ts';
import type { AnswerHeaders } from './documented-headers.ts';
import { exchangeOf } from './exchange.ts';
import { anyBytes, ProblemSchema } from './schemas.ts';

type Responses = RouteConfig['responses'];

/**
 * Cache-Control of bytes. Without it, browsers judge freshness by the age of the bytes and serve a copy to the next user, with another
 * token or none, even after the file was deleted. A copy may be kept but must be revalidated each time; with `privateNoCache`, only in
 * a private cache.
 */
export const noCache = 'no-cache';
export const privateNoCache = 'private, no-cache';

/**
 * Sends a JSON answer that must not be stored in caches. Bypasses the framework, which would build a response and headers only to take both
 * apart again.
 */
export function answerJson({ env }: AppContext, value: unknown, status = 200, headers?: OutgoingHttpHeaders): Response {
  const { incoming, outgoing } = env;
  const body = JSON.stringify(value);
  closeIfUnread(incoming, outgoing);
  outgoing.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  outgoing.end(body);
  return RESPONSE_ALREADY_SENT;
}

/** Answers an error, inside the framework and outside of it. */
export async function answerError(error: unknown, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const exchange = exchangeOf(outgoing);
  exchange.error = error;
  if (!incoming.complete && hasBody(incoming)) await setImmediate(); // lets what arrived with the head be parsed first
  closeIfUnread(incoming, outgoing);
  sendProblem(outgoing, error, exchange.requestId);
}

/** How a JSON answer is documented. */
interface JsonAnswer<S extends z.ZodType> {
  readonly description: string;
  readonly example: z.output<S>;
  readonly headers?: AnswerHeaders;
}

/** Documents a JSON answer. */
export function json<S extends z.ZodType>(status: number, schema: S, { description, example, headers = {} }: JsonAnswer<S>): Responses {
  return { [status]: { description, headers, content: { 'application/json': { schema, example } } } };
}

/** Documents an answer without a body. */
export function empty(status: number, description: string, headers: AnswerHeaders = {}): Responses {
  return { [status]: { description, headers } };
}

/** Documents the successful answers of a route that sends files, which have names, or objects. */
export function objectAnswers(what: 'file' | 'object', unchanged = what === 'file' ? unchangedFileHeaders : unchangedHeaders): Responses {
  return {
    200: { description: `The ${what}`, headers: sentHeaders, content: anyBytes },
    206: { description: 'The range that was requested', headers: partHeaders, content: anyBytes },
    304: { description: 'The copy that the client holds is current', headers: unchanged },
  };
}

/** Documents the errors of a route, by status; `internal_error` is always included. Routes that check a token must include `authErrors`. */
export function problems(...codes: readonly StorageErrorCode[]): Responses {
  const byStatus = new Map<number, StorageErrorCode[]>();
  for (const code of new Set<StorageErrorCode>([...codes, 'internal_error'])) {
    const status = statusByCode[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      {
        description: list.map((code) => `\`${code}\``).join(', '),
        headers: headersOf[status] ?? {},
        content: {
          'application/problem+json': {
            schema: ProblemSchema,
            example: {
              type: 'about:blank',
              title: STATUS_CODES[status] ?? 'Error',
              status,
              detail: 'What went wrong and what to do about it.',
              code: list[0],
              request_id: 'b1946ac9',
            },
          },
        },
      },
    ]),
  );
}

const headersOf: Readonly<Record<number, AnswerHeaders>> = { 401: unauthorizedHeaders, 416: unsatisfiableRangeHeaders, 503: retryHeaders };

/** Errors of every route that checks a token: the keys or the database may be unavailable as well. */
export const authErrors: readonly StorageErrorCode[] = ['unauthorized', 'forbidden', 'storage_unavailable'];

/**
 * Errors of disabled storage, and of a provider that fails or does not accept a request: what it accepts, and what it supports, is
 * up to the provider, whatever the route.
 */
export const providerErrors: readonly StorageErrorCode[] = [
  'storage_not_configured',
  'storage_unavailable',
  'connect_timeout',
  'read_timeout',
  'access_denied',
  'invalid_argument',
  'not_supported',
];

/** Errors of routes that work for a tenant, which the token or X-Tenant-ID names. */
export const tenantErrors: readonly StorageErrorCode[] = [
  ...authErrors,
  'storage_not_configured',
  'tenant_mismatch',
  'tenant_context_required',
  'tenant_not_found',
  'validation_failed',
];

/** The same for routes where a bucket is chosen for the request, and created on first use if that is allowed. */
export const bucketErrors: readonly StorageErrorCode[] = [...tenantErrors, ...providerErrors, 'no_such_bucket', 'tenant_conflict'];

/** Errors of a route that takes a JSON body, if the body is invalid. */
export const jsonBodyErrors: readonly StorageErrorCode[] = ['validation_failed', 'unsupported_media_type', 'payload_too_large'];
