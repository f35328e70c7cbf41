import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

import { AnswerError, answerError } from './answer-error.ts';
import type { Connection } from './connection.ts';
import { headerOf } from './errors.ts';
import { Http, StaleSocketError } from './lean-http.ts';
import type { HttpRequest } from './lean-http.ts';
import type { Settings } from './options.ts';
import { Places } from './places.ts';
import type { Place } from './places.ts';
import { RetryPolicy } from './retry.ts';
import { amzDate, authorization, encodeKey, Signatures, unsignedPayload } from './signature.ts';
import type { Keys } from './signature.ts';

export interface LeanRequest extends Pick<HttpRequest, 'method' | 'body' | 'isRead'> {
  /** Without a key it is the bucket; without a bucket, the account. */
  readonly at: { readonly bucket?: string; readonly key?: string };
  /** Encoded and in order, each parameter with a `=`. */
  readonly query?: string;
  /** Lower-case names in order, each followed by its value; without those that every request has. */
  readonly headers?: readonly string[];
  /** Of the body in memory, lower-case hex, where it is known already. */
  readonly sha256?: string | undefined;
}

interface Attempt {
  readonly place: Place;
  readonly keys: Keys;
  /** Of the clock. */
  readonly offset: number;
}

const emptyHash = hash('sha256', '');

/** Signs and sends requests as often as there is hope, and puts right what servers find wrong with them. */
export class LeanClient {
  readonly #connection: Connection;
  readonly #http: Http;
  readonly #places: Places;
  readonly #retries: RetryPolicy;
  readonly #signatures = new Signatures();
  readonly #mostStale: number;

  constructor(settings: Settings, connection: Connection) {
    this.#connection = connection;
    this.#http = new Http(connection.agent, settings.timeout);
    this.#places = new Places(settings);
    this.#retries = new RetryPolicy(settings);
    this.#mostStale = settings.maxPoolConnections;
  }

  /** Resolves with the head of a successful answer. Bytes in memory can be sent again; a stream has just one attempt. */
  async send(request: LeanRequest, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    const { clock, credentials } = this.#connection;
    const corrected: string[] = [];
    let stale = 0;
    let price: number | undefined;
    for (let attempt = 1; ;) {
      await this.#retries.pace(signal);
      const keys = credentials.known ?? (await credentials.load());
      const made = { place: this.#places.of(request.at.bucket), keys, offset: clock.offset };
      signal?.throwIfAborted();
      try {
        const answer = await this.#http.send(this.#signed(request, made), signal);
        if (answer.statusCode! >= 300) throw await answerError(answer, signal);
        this.#retries.succeeded(price);
        return answer;
      } catch (thrown) {
        signal?.throwIfAborted();
        const isStale = thrown instanceof StaleSocketError;
        const error = isStale ? thrown.cause : thrown;
        const correction = error instanceof AnswerError ? await this.#correct(request, made, error) : undefined;
        if (isStream(request.body)) throw error;
        if (isStale && stale++ < this.#mostStale) continue;
        if (correction === undefined || corrected.includes(correction)) price = await this.#retries.again(error, attempt++, signal);
        else corrected.push(correction);
      }
    }
  }

  #signed({ method, at, query = '', headers = [], body, sha256, isRead }: LeanRequest, { place, keys, offset }: Attempt): HttpRequest {
    const date = amzDate(Date.now() + offset);
    const payloadHash = this.#payloadHash(body, sha256);
    const path = at.key === undefined ? place.prefix : place.prefix + encodeKey(at.key);
    const always = ['host', place.host, 'x-amz-content-sha256', payloadHash, 'x-amz-date', date];
    if (keys.sessionToken !== undefined) always.push('x-amz-security-token', keys.sessionToken);
    const all = merged(headers, always);
    const scope = this.#signatures.scope(keys, place.region, date);
    all.push('authorization', authorization(scope, { method, path, query, headers: all, payloadHash }, date));
    const { hostname, port } = place;
    return { method, hostname, port, path: query === '' ? path : `${path}?${query}`, headers: all, body, isRead };
  }

  #payloadHash(body: HttpRequest['body'], known: string | undefined): string {
    if (body === undefined) return emptyHash;
    if (known !== undefined) return known;
    return this.#connection.payloadSigning.isRequired && !isStream(body) ? hash('sha256', body) : unsignedPayload;
  }

  /** Learns from a refusal. @returns what is right now, so that the same request may succeed */
  async #correct({ at }: LeanRequest, { place, keys, offset }: Attempt, error: AnswerError): Promise<string | undefined> {
    const { region, $metadata } = error;
    const status = $metadata.httpStatusCode;
    const isRefusal = status === 400 || status === 401 || status === 403;
    if (isRefusal && this.#connection.clock.learn(headerOf(error, 'date'), offset)) return 'clock';
    if ((status === 301 || status === 307 || status === 400) && this.#places.learn(at.bucket, place, region)) return 'region';
    if (this.#connection.payloadSigning.learn(error)) return 'payload';
    return (await this.#connection.credentials.replace(keys, error)) ? 'credentials' : undefined;
  }
}

function isStream(body: HttpRequest['body']): body is Exclude<HttpRequest['body'], Uint8Array | undefined> {
  return body !== undefined && !(body instanceof Uint8Array);
}

/** Two lists of headers, both in order of their names, as one. */
function merged(one: readonly string[], other: readonly string[]): string[] {
  const all: string[] = [];
  let index = 0;
  for (let next = 0; next < other.length; next += 2) {
    for (; index < one.length && one[index]! < other[next]!; index += 2) all.push(one[index]!, one[index + 1]!);
    all.push(other[next]!, other[next + 1]!);
  }
  for (; index < one.length; index++) all.push(one[index]!);
  return all;
}
