import type { IncomingMessage, ServerResponse } from 'node:http';

import { bucketNameProblem, decodeKey, noContext, storageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';
import { answerPreflight, lingerOver, sendProblem, setCorsHeaders } from '@coffer/storage-core/http';

import type { LocalBackend } from '../backend.ts';
import type { Exchange } from './exchange.ts';
import { answerRead } from './read.ts';
import { answerForm, answerPut } from './write.ts';

/** What the handler serves, and to which origins. */
export interface LocalHttpOptions {
  readonly backend: LocalBackend;
  /** Origins whose pages may use the storage; `*` for all. Default: all, since a signature is needed anyway. */
  readonly corsOrigins?: readonly string[];
  /** Sends an error response; CORS headers are already set. Default: a short application/problem+json. */
  readonly onError?: (error: unknown, request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
}

/**
 * Answers requests below `/local/` and resolves to true; leaves all others untouched and resolves to false. Never rejects.
 * @param ctx carries the request id for logs and the abort signal; the tenant comes from the signature
 */
export type LocalHttpHandler = (request: IncomingMessage, response: ServerResponse, ctx?: CallContext) => Promise<boolean>;

const mount = '/local/';
const objectMethods = ['GET', 'HEAD', 'PUT'];
const bucketMethods = ['POST'];

/**
 * Serves what a local backend presigned, and public objects to everyone:
 *
 * - `GET|HEAD /local/{bucket}/{key}` with a signature, or without one if the object's ACL grants public read
 * - `PUT /local/{bucket}/{key}` with a signature; 200
 * - `POST /local/{bucket}`: a form with policy and signature among its fields and the part `file` last; 204
 *
 * The key is taken from the raw request target and decoded once. Mount the handler before anything that reads bodies.
 */
export function localHttpHandler({ backend, corsOrigins = ['*'], onError = answerProblem }: LocalHttpOptions): LocalHttpHandler {
  return async (request, response, ctx = noContext) => {
    const target = originFormOf(request.url ?? '');
    if (!target.startsWith(mount)) return false;
    try {
      setCorsHeaders(request, response, corsOrigins);
      await answer(backend, target, { request, response, ctx });
    } catch (error) {
      const fail = async (): Promise<void> => onError(error, request, response);
      if (!response.destroyed) await fail().catch(() => response.destroy());
    }
    lingerOver(request);
    return true;
  };
}

function answerProblem(error: unknown, _request: IncomingMessage, response: ServerResponse): void {
  sendProblem(response, error);
}

async function answer(backend: LocalBackend, requestTarget: string, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const { method = '' } = request;
  const { bucket, rawKey, query } = targetOf(requestTarget);
  const methods = rawKey === '' ? bucketMethods : objectMethods;
  if (method === 'OPTIONS') {
    response.setHeader('allow', [...methods, 'OPTIONS'].join(', '));
    answerPreflight(request, response, [...objectMethods, ...bucketMethods].join(', '));
    return;
  }
  const problem = bucketNameProblem(bucket);
  if (problem !== undefined) throw storageError('invalid_bucket_name', problem);
  if (!methods.includes(method)) {
    response.setHeader('allow', [...methods, 'OPTIONS'].join(', '));
    throw storageError('method_not_allowed', 'The method is not supported here.');
  }
  if (method === 'POST') return answerForm(backend, bucket, exchange);
  const target = { at: { bucket, key: decodeKey(rawKey) }, query };
  return method === 'PUT' ? answerPut(backend, target, exchange) : answerRead(backend, target, exchange);
}

/** Strips scheme and host from a request target in absolute form, as a proxy sends it: RFC 9112, section 3.2.2. */
function originFormOf(url: string): string {
  return url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?]*/i, '');
}

/** Splits a raw request target; the key is not decoded yet. */
function targetOf(requestTarget: string): { readonly bucket: string; readonly rawKey: string; readonly query: URLSearchParams } {
  const [path = '', ...rest] = requestTarget.slice(mount.length).split('?');
  const slash = path.indexOf('/');
  return {
    bucket: slash < 0 ? path : path.slice(0, slash),
    rawKey: slash < 0 ? '' : path.slice(slash + 1),
    query: new URLSearchParams(rest.join('?')),
  };
}
