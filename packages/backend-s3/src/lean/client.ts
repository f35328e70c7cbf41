import { hash } from 'node:crypto';
import { isUint8Array } from 'node:util/types';

import { sizeMismatch, untilAborted } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { call } from '../call.ts';
import { AnswerError, documentIn } from '../documents/answer-error.ts';
import { isErrorDocument } from '../documents/answer.ts';
import type { Connection } from '../http/connection.ts';
import type { Answer, ExchangeRequest, OpenAnswer } from '../http/exchange.ts';
import { assertNoPage, isNonS3Status } from '../http/foreign-answer.ts';
import { Http } from '../http/http-client.ts';
import type { StreamRequest } from '../http/http-client.ts';
import type { AnswerHead } from '../http/raw-answer.ts';
import type { HttpRequest } from '../http/request.ts';
import { cutError, StaleSocketError } from '../http/socket-errors.ts';
import { isInDoubt, noteDoubt } from '../in-doubt.ts';
import { headerOf } from '../provider-error.ts';
import { RetryPolicy } from '../retry.ts';
import type { RetryCost } from '../retry.ts';
import type { Settings } from '../settings.ts';
import type { BucketEndpoint } from '../signing/bucket-endpoints.ts';
import type { SentWith } from '../signing/payload-signing.ts';
import { authorization, encodeKey, merged, Signatures, unsignedPayload } from '../signing/signature.ts';
import type { Keys } from '../signing/signature.ts';

interface LeanRequest extends Pick<HttpRequest, 'method' | 'body'> {
  /** Without a key, the bucket; without a bucket, the account. */
  readonly at: { readonly bucket?: string; readonly key?: string };
  /** Encoded and sorted, each parameter with a `=`. */
  readonly query?: string;
  /** Lower-case names, sorted, each followed by its value; without those that every request has. */
  readonly headers?: readonly string[];
  /** SHA-256 of the body in lower-case hex, if already known. */
  readonly sha256?: string | undefined;
}

/** A request with or without a document, answered with one. */
export interface DocumentRequest
  extends Pick<LeanRequest, 'method' | 'at' | 'query' | 'headers'>, Pick<ExchangeRequest, 'onHead' | 'onBeginning'> {
  readonly document?: string;
}

/** A request as it is sent. */
type Signed<R extends LeanRequest> = HttpRequest & Pick<R, 'body'>;

/** Wraps the error of an attempt that must not be repeated, because something was passed on that cannot be taken back. */
export class LastAttemptError extends Error {}

interface Attempt extends SentWith {
  readonly endpoint: BucketEndpoint;
  readonly keys: Keys;
  /** Of the clock. */
  readonly offset: number;
}

/** SHA-256 of no bytes. */
const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/**
 * A request at the end of a long line may be handed one closing socket after the other. Each of them has served another request before, so
 * half of those that wait get through each time.
 */
const minStaleRetries = 24;

/** Signs and sends requests, repeats them while there is hope, and corrects what servers find wrong with them. */
export class LeanClient {
  readonly #connection: Connection;
  readonly #http: Http;
  readonly #retries: RetryPolicy;
  readonly #signatures = new Signatures();
  readonly #maxStaleRetries: number;

  constructor(settings: Settings, connection: Connection) {
    this.#connection = connection;
    this.#http = new Http(connection, settings.timeout);
    this.#retries = new RetryPolicy(settings);
    this.#maxStaleRetries = Math.max(settings.maxPoolConnections, minStaleRetries);
  }

  /** Resolves with a successful answer to a request whose body, if any, is in memory. */
  answer(request: LeanRequest & Pick<ExchangeRequest, 'body'>, signal: AbortSignal | undefined): Promise<Answer> {
    return this.attempt(request, signal, async (signed) =>
      assertNoErrorDocument(assertSuccess(request, await this.#http.exchange(signed, signal))),
    );
  }

  /** Resolves with a successful answer whose body is a stream. */
  open(request: LeanRequest & Pick<ExchangeRequest, 'body'>, signal: AbortSignal | undefined): Promise<OpenAnswer> {
    return this.attempt(request, signal, async (signed) => assertSuccess(request, await this.#http.open(signed, signal)));
  }

  /** Resolves with the head of a successful answer to a request whose body is a stream. It has only one attempt. */
  send(request: LeanRequest & Pick<StreamRequest, 'body'>, signal: AbortSignal | undefined): Promise<AnswerHead> {
    return this.attempt(request, signal, (signed) => this.#send(signed, signal));
  }

  /**
   * Resolves with what `read` makes of the answer. An answer that is cut off or contains an error counts as a failed attempt.
   * @param permission that the credentials need; rejects as `call` does
   */
  document<T>(
    permission: string,
    { document, headers = [], onHead, onBeginning, ...request }: DocumentRequest,
    ctx: CallContext,
    read: (document: string, headers: Answer['headers']) => T | Promise<T>,
  ): Promise<T> {
    const sent: DocumentPayload = document === undefined ? { headers } : withDocument(document, headers);
    return call({ ...request.at, permission }, ctx, ({ abortSignal }) =>
      this.attempt({ ...request, ...sent }, abortSignal, async (signed) => {
        const answer = await this.#http.exchange({ ...signed, onHead, onBeginning }, abortSignal);
        const { headers: answerHeaders, document: text } = assertNoErrorDocument(assertSuccess(request, answer));
        return read(text, answerHeaders);
      }),
    );
  }

  /** Makes a request with `send`, and repeats it while there is hope. */
  async attempt<R extends LeanRequest, T>(
    request: R,
    signal: AbortSignal | undefined,
    send: (signed: Signed<R>) => Promise<T>,
  ): Promise<T> {
    const { clock, credentials, payloadSigning, bucketEndpoints } = this.#connection;
    const { bucket } = request.at;
    const size = sizeOf(request.body);
    const corrected: string[] = [];
    let stale = 0;
    let cost: RetryCost | undefined;
    let wasInDoubt = false;
    for (let attempt = 1; ;) {
      await this.#retries.pace(signal);
      const keys = credentials.known ?? (await untilAborted(credentials.load(), signal));
      const isSigned = payloadSigning.isRequired || request.sha256 !== undefined;
      const used = { endpoint: bucketEndpoints.of(bucket), keys, offset: clock.offset, isSigned, hasMd5: payloadSigning.wantsMd5(bucket) };
      signal?.throwIfAborted();
      if (sizeOf(request.body) !== size) throw sizeMismatch(sizeOf(request.body), size); // see Exchange.useWire
      try {
        const result = await send(this.#signed(request, used));
        this.#retries.succeeded(bucket, cost);
        return result;
      } catch (thrown) {
        signal?.throwIfAborted();
        if (thrown instanceof LastAttemptError) throw thrown.cause;
        const isStale = thrown instanceof StaleSocketError;
        const error = isStale ? thrown.cause : thrown;
        if (wasInDoubt) noteDoubt(error);
        wasInDoubt ||= isInDoubt(error);
        const correction = error instanceof AnswerError ? await this.#correct(request, used, error) : undefined;
        if (isStream(request.body)) throw error;
        if (isStale && stale++ < this.#maxStaleRetries) {
          this.#http.closeKept(); // the others may be as old: the next attempt shows whether it is the server that hangs up
          continue;
        }
        if (correction === undefined || corrected.includes(correction))
          cost = await this.#retries.waitForRetry(error, attempt++, signal, bucket);
        else corrected.push(correction);
      }
    }
  }

  async #send(signed: StreamRequest, signal: AbortSignal | undefined): Promise<AnswerHead> {
    const answer = await this.#http.send(signed, signal);
    const head = { status: answer.statusCode!, headers: answer.headers as AnswerHead['headers'] };
    const { status, headers } = head;
    if (status >= 300 || isNonS3Status(status)) throw new AnswerError(status, headers, await documentIn(answer, signal));
    try {
      assertNoPage(status, headers, false);
    } catch (error) {
      answer.destroy();
      throw error;
    }
    assertNoErrorDocument({ headers, document: await documentIn(answer, signal) });
    // What is missing may be an error.
    if (!answer.complete) throw cutError();
    return head;
  }

  #signed<R extends LeanRequest>(request: R, { endpoint, keys, offset, hasMd5 }: Attempt): Signed<R> {
    const { method, at, query = '', headers = [], body, sha256 } = request;
    const date = this.#signatures.date(Date.now() + offset);
    const payloadHash = this.#payloadHash(body, sha256);
    const path = at.key === undefined ? endpoint.prefix : endpoint.prefix + encodeKey(at.key);
    const needsMd5 = hasMd5 && isUint8Array(body) && !hasChecksum(headers);
    const md5 = needsMd5 ? ['content-md5', hash('md5', body, 'base64')] : [];
    const standardHeaders = [...md5, 'host', endpoint.host, 'x-amz-content-sha256', payloadHash, 'x-amz-date', date];
    if (keys.sessionToken !== undefined) standardHeaders.push('x-amz-security-token', keys.sessionToken);
    const all = merged(headers, standardHeaders);
    const scope = this.#signatures.scope(keys, endpoint.region, date);
    all.push('authorization', authorization(scope, { method, path, query, headers: all, payloadHash }, date));
    const { hostname, port } = endpoint;
    const signed: HttpRequest = { method, hostname, port, path: query === '' ? path : `${path}?${query}`, headers: all, body };
    return signed as Signed<R>; // the body is the same
  }

  #payloadHash(body: HttpRequest['body'], known: string | undefined): string {
    if (body === undefined) return emptyHash;
    if (known !== undefined) return known;
    return this.#connection.payloadSigning.isRequired && !isStream(body) ? hash('sha256', body) : unsignedPayload;
  }

  /** Learns from a refusal. @returns the name of the correction, so that the same request may succeed */
  async #correct({ at }: LeanRequest, used: Attempt, error: AnswerError): Promise<string | undefined> {
    if (error.name === 'NoS3AnswerError') return undefined; // the clock of whoever answered, for one, is not the server's
    const { endpoint, keys, offset } = used;
    const { region, $metadata } = error;
    const status = $metadata.httpStatusCode;
    const isRefusal = status === 400 || status === 401 || status === 403;
    if (isRefusal && this.#connection.clock.learn(headerOf(error, 'date'), offset)) return 'clock';
    if ((status === 301 || status === 307 || status === 400) && this.#connection.bucketEndpoints.learn(at.bucket, endpoint, region))
      return 'region';
    // If a signed hash does not match, the bytes changed on their way.
    const learned = this.#connection.payloadSigning.learn(at.bucket, used, error);
    return learned ?? ((await this.#connection.credentials.replace(keys, error)) ? 'credentials' : undefined);
  }
}

function assertSuccess<T extends Answer & Partial<Pick<OpenAnswer, 'body'>>>(
  { method, at, query }: Pick<LeanRequest, 'method' | 'at' | 'query'>,
  answer: T,
): T {
  const { status, headers, document } = answer;
  if (status >= 300) throw new AnswerError(status, headers, document);
  const isObject =
    (method === 'GET' || method === 'HEAD') && at.key !== undefined && (query === undefined || query.startsWith('versionId='));
  try {
    assertNoPage(status, headers, isObject, document);
  } catch (error) {
    answer.body?.destroy();
    throw error;
  }
  return answer;
}

/** An error after a success status counts as if it had been the status from the start. */
function assertNoErrorDocument<T extends Pick<Answer, 'headers' | 'document'>>(answer: T): T {
  if (isErrorDocument(answer.document)) throw new AnswerError(503, answer.headers, answer.document);
  return answer;
}

type DocumentPayload = Pick<LeanRequest, 'headers' | 'sha256'> & Pick<ExchangeRequest, 'body'>;

/** Some servers insist on the MD5 of documents. */
function withDocument(document: string, headers: readonly string[]): DocumentPayload {
  const body = Buffer.from(document);
  const own = ['content-length', String(body.length), 'content-md5', hash('md5', body, 'base64'), 'content-type', 'application/xml'];
  return { body, headers: merged(headers, own), sha256: hash('sha256', body) };
}

function hasChecksum(headers: readonly string[]): boolean {
  return headers.some((name, index) => index % 2 === 0 && (name === 'content-md5' || name.startsWith('x-amz-checksum-')));
}

/** Bytes of a body in memory, whose owner may take it away at any time. */
function sizeOf(body: HttpRequest['body']): number {
  return isUint8Array(body) ? body.byteLength : 0;
}

function isStream(body: HttpRequest['body']): body is Exclude<HttpRequest['body'], Uint8Array | undefined> {
  return body !== undefined && !isUint8Array(body);
}
