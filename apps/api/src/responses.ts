import type { OutgoingHttpHeaders } from 'node:http';

import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { RouteConfig, z } from '@hono/zod-openapi';

import type { StorageErrorCode } from '@coffer/storage-core';
import { statusByCode } from '@coffer/storage-core/http';

import type { AppContext } from './router.ts';
import { ProblemSchema } from './schemas.ts';

type Responses = RouteConfig['responses'];

/** Sends a JSON answer. Past the framework, which would make an object of it, and headers, only to take both apart again. */
export function answerJson({ env: { outgoing } }: AppContext, value: unknown, status = 200, headers?: OutgoingHttpHeaders): Response {
  const body = JSON.stringify(value);
  outgoing.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  outgoing.end(body);
  return RESPONSE_ALREADY_SENT;
}

/** A JSON answer. */
export function json(status: number, schema: z.ZodType, description: string): Responses {
  return { [status]: { description, content: { 'application/json': { schema } } } };
}

/** An answer that is bytes. */
export function bytes(status: number, description: string): Responses {
  return { [status]: { description, content: { '*/*': { schema: { type: 'string', format: 'binary' } } } } };
}

export function empty(status: number, description: string): Responses {
  return { [status]: { description } };
}

/** The errors a route may answer with, by status. Every route that checks a token adds what that brings. */
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
        ...(status === 401 || status === 503 ? { headers: headersOf[status] } : {}),
        content: {
          'application/problem+json': {
            schema: ProblemSchema,
            example: {
              type: 'about:blank',
              title: titles[status] ?? 'Error',
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

const headersOf = {
  401: { 'WWW-Authenticate': { description: 'That it takes a bearer token.', schema: { type: 'string', example: 'Bearer' } } },
  503: { 'Retry-After': { description: 'Seconds, where that helps.', schema: { type: 'integer', example: 1 } } },
} as const;

/** What comes of storage that is switched off, and of a provider that fails. */
export const provider: readonly StorageErrorCode[] = [
  'access_denied',
  'storage_not_configured',
  'storage_unavailable',
  'connect_timeout',
  'read_timeout',
];

/** What every route that checks a token may answer. */
export const guarded: readonly StorageErrorCode[] = ['unauthorized', 'forbidden', 'tenant_mismatch', ...provider];

/** The same of routes that work for a tenant, which the token or X-Tenant-ID names. */
export const scoped: readonly StorageErrorCode[] = [
  ...guarded,
  'tenant_context_required',
  'tenant_not_found',
  'tenant_conflict',
  'validation_failed',
];

/** What a route answers to a body that is no good JSON. */
export const badJson: readonly StorageErrorCode[] = ['validation_failed', 'unsupported_media_type', 'payload_too_large'];

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  422: 'Unprocessable Entity',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};
