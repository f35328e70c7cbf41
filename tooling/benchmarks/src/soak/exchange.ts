import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import { writePieces } from '../load/write-pieces.ts';

/** The connection was cut. */
export class Cut extends Error {
  /** The origin of the request's URL. */
  readonly origin: string;
  /** Whether the server never took the request: it was refused, or sent on an idle connection that had just been closed. */
  readonly wasNotAccepted: boolean;

  constructor({ url, method = 'GET' }: RequestOptions, code: string, wasIdle: boolean) {
    super(`${method} ${url} was cut: ${code}`);
    this.origin = new URL(url).origin;
    this.wasNotAccepted = code === 'ECONNREFUSED' || wasIdle;
  }
}
/** The client left, as the request told it to. */
export class Aborted extends Error {}

/** An unexpected answer. */
export class Refusal extends Error {
  /** Whether it is the answer to expect while a store or a database is away. */
  readonly isUnavailable: boolean;
  /** The same for a timeout of a store. */
  readonly isTimeout: boolean;
  readonly origin: string;

  constructor(what: string, { status, headers, text, origin }: Answer) {
    super(`${what} was answered ${status} by ${origin}: ${text.slice(0, 300)}`);
    this.origin = origin;
    const isProblem = headers['content-type']?.startsWith('application/problem+json') === true;
    const code = isProblem ? (JSON.parse(text) as { readonly code: string }).code : '';
    this.isUnavailable = `${status} ${code}` === '503 storage_unavailable' && Number(headers['retry-after']) > 0;
    this.isTimeout = /^504 (connect|read)_timeout$/.test(`${status} ${code}`);
  }
}

export interface Head {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

export interface Answer extends Head {
  readonly text: string;
  /** The origin of the request's URL. */
  readonly origin: string;
}

export interface RequestOptions {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly length: number; readonly pieces: Iterable<Buffer> };
  /** Bytes after which the client leaves: sent where there is a body, received elsewhere. */
  readonly abortAfter?: number;
  /** Milliseconds that a reader pauses after each chunk. */
  readonly pauseMs?: number;
  /** Receives the body of a 200 or 206 as it arrives; without it, the body is collected. */
  readonly onBody?: (head: Head) => (chunk: Buffer) => void;
}

/** Milliseconds; longer than anything in the API waits. */
const patience = 120_000;
const cuts: readonly string[] = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'];

/** @throws Cut, Aborted */
export async function send(ask: RequestOptions): Promise<Answer> {
  const { url, method = 'GET', headers, body, abortAfter = Infinity } = ask;
  const length = body === undefined ? {} : { 'content-length': String(body.length) };
  // Half of the connections are used only once: if one of those is cut, it cannot be because it was idle.
  const connection = Math.random() < 0.5 ? {} : { agent: false };
  const request = httpRequest(url, { ...connection, method, headers: { ...headers, ...length } });
  let isAnswered = false;
  request.on('error', () => {});
  request.setTimeout(patience, () => request.destroy(new Error(`${method} ${url}: nothing moved for ${patience / 1000} s.`)));
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  try {
    const isWhole = body === undefined || (await writePieces(request, until(abortAfter, body.pieces), answered));
    if (isWhole) request.end();
    const [response] = await answered;
    isAnswered = true;
    const answer = await receive(response, ask);
    if (!isWhole) request.destroy(); // its connection waits for the rest, and cannot be reused
    return answer;
  } catch (error) {
    if (error instanceof Aborted) await delay(20); // so that what was sent arrives
    request.destroy();
    const { code = '' } = error as NodeJS.ErrnoException;
    throw cuts.includes(code) ? new Cut(ask, code, request.reusedSocket && !isAnswered) : error;
  }
}

/** The pieces that are sent before the client leaves. */
function* until(most: number, pieces: Iterable<Buffer>): Generator<Buffer> {
  let left = most;
  for (const piece of pieces) {
    yield piece.subarray(0, left);
    if ((left -= piece.length) < 0) throw new Aborted();
  }
}

async function receive(
  response: IncomingMessage,
  { url, body, abortAfter = Infinity, pauseMs = 0, onBody }: RequestOptions,
): Promise<Answer> {
  const head = { status: response.statusCode ?? 0, headers: response.headers };
  const take = head.status === 200 || head.status === 206 ? onBody?.(head) : undefined;
  const gathered: Buffer[] = [];
  let received = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (take === undefined) gathered.push(chunk);
    else take(chunk);
    received += chunk.length;
    if (body === undefined && received > abortAfter) throw new Aborted();
    if (pauseMs > 0) await delay(pauseMs);
  }
  return { ...head, text: Buffer.concat(gathered).toString(), origin: new URL(url).origin };
}
