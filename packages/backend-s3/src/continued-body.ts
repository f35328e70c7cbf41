import { hasCode, isStorageError, storageError, takeWhole } from '@coffer/storage-core';
import type { CallContext, ObjectAddress, ResolvedRange } from '@coffer/storage-core';

import { notAsked } from './conditions.ts';
import { sourceOf } from './http/answer-body.ts';
import type { AnswerBody, BodyRest, BodySource } from './http/answer-body.ts';
import { isBroken } from './http/socket-errors.ts';
import type { Lender } from './lenders.ts';
import { lengthOf, rangeHeader } from './ranges.ts';
import type { Store } from './store.ts';
import type { ReadHeaders, Transport } from './transport.ts';
import { versionOf } from './version-id.ts';

/** Milliseconds without demand from a reader before its connection may serve others. A reader that is merely busy is back sooner. */
const hesitation = 200;
/** Milliseconds after which it is the turn of others, however busy a reader is. */
const longestTurn = 1000;
/** Bytes: how much is buffered rather than kept open, and how much a connection has to deliver not to count as a failed attempt. */
const least = 64 * 1024;
/** Codes that mean the object no longer exists, or was replaced, when the rest of it is requested. */
const gone = ['precondition_failed', 'file_not_found', 'no_such_bucket', 'range_not_satisfiable'] as const;

/** An open body, and which bytes of which object it holds. */
interface Continued {
  readonly at: ObjectAddress;
  readonly etag: string;
  /** Only in buckets that keep versions. */
  readonly versionId: string | undefined;
  readonly size: number;
  readonly range: ResolvedRange;
  readonly body: AnswerBody;
  /** Returns the download slot. */
  readonly release: () => void;
}

/**
 * Fetches the rest of a body with a new request after its connection was cut, or was lent to others who waited. Cut connections that
 * deliver next to nothing are tolerated as often in a row as requests are retried. The rest is only ever fetched from the object that was
 * opened: if it has been replaced meanwhile, the body fails.
 */
export class Continuation implements BodyRest, Lender {
  readonly #store: Store;
  /** The caller's context, with a signal that lasts until the body is closed. */
  readonly #ctx: CallContext;
  readonly #of: Continued;
  readonly #closed = new AbortController();
  #release: () => void;
  #isAsking = false;
  /** Whether another object has replaced this one by now. */
  #isFormer = false;
  #retries: number;
  /** Bytes received when the previous connection was cut. */
  #cutAt = 0;
  /**
   * Size of the next request in bytes. A slow reader gets little at a time, which arrives at once; twice as much when that was not enough.
   */
  #most = Infinity;
  #endedAt = -Infinity;
  /** When the current turn began, and how many bytes had been received by then. */
  #turn = { since: performance.now(), from: 0 };

  constructor(store: Store, of: Continued, ctx: CallContext) {
    this.#store = store;
    this.#ctx = { ...ctx, signal: this.#closed.signal };
    this.#of = of;
    this.#release = of.release;
    this.#retries = store.settings.maxRetries;
    let leave: (() => void) | undefined;
    if (of.body.isComplete) this.#release();
    else leave = store.lenders.add(this);
    of.body.once('close', () => {
      leave?.();
      this.#closed.abort();
      this.#release();
    });
  }

  get tenant(): string {
    return this.#ctx.tenant ?? '';
  }

  /** Milliseconds for which the connection has served nobody; undefined if there is none to lend. */
  get stalledFor(): number | undefined {
    const { stalledFor } = this.#of.body;
    return stalledFor < hesitation ? undefined : stalledFor;
  }

  get servedFor(): number | undefined {
    const { since, from } = this.#turn;
    const { body } = this.#of;
    if (!body.isFed || body.received - from < least) return undefined; // a turn delivers something, however slow the server is
    const servedFor = performance.now() - since;
    return servedFor < longestTurn ? undefined : servedFor;
  }

  lend(): void {
    const { body } = this.#of;
    this.#most = this.stalledFor === undefined ? Infinity : least;
    body.lend();
    this.#release();
    this.wanted();
  }

  close(): void {
    const { body } = this.#of;
    if (!this.#isWhole) body.fail(storageError('storage_unavailable', 'The backend was closed while the object was read.'));
  }

  arrived(): void {
    this.#release();
  }

  missed(error: Error): boolean {
    this.#release();
    const { maxRetries } = this.#store.settings;
    const { received } = this.#of.body;
    if (received - this.#cutAt >= least) this.#retries = maxRetries;
    this.#cutAt = received;
    if (!isBroken(error) || this.#retries-- <= 0) return false;
    this.wanted();
    return true;
  }

  wanted(): void {
    const { body } = this.#of;
    if (this.#isAsking || !body.isStarving) return;
    if (this.#isWhole) return body.complete(); // the source was abandoned before it could say so
    this.#isAsking = true;
    this.#ask().catch((error: unknown) => {
      this.#release();
      body.fail(error as Error);
    });
  }

  async #ask(): Promise<void> {
    const { body } = this.#of;
    for (let source: BodySource | undefined; source === undefined && body.isStarving;) {
      source = await this.#part();
      if (source === undefined) continue;
      this.#turn = { since: performance.now(), from: body.received };
      body.continueFrom(source);
    }
    this.#isAsking = false;
  }

  /** @returns the source of the next bytes; undefined if they have already arrived */
  async #part(): Promise<BodySource | undefined> {
    const { at, etag, size, body } = this.#of;
    const range = this.#next();
    this.#release = await this.#store.downloads.take(1, { ...this.#ctx, isUnderWay: true });
    const answer = await this.#answer(at, { ifMatch: etag, range: rangeHeader(range) });
    if (answer.kind !== 'object') throw notAsked();
    const { contentLength, contentRange, etag: sent } = answer.headers;
    const isPart = contentRange === `bytes ${range.start}-${range.end}/${size}` && contentLength === lengthOf(size, range);
    if (!isPart || sent !== etag) {
      answer.body.destroy();
      throw storageError('storage_unavailable', 'The storage provider sent something other than the rest of the object.');
    }
    const bytes = takeWhole(answer.body);
    if (bytes === undefined) {
      return sourceOf(
        answer.body,
        () => body,
        () => this.#ended(),
      );
    }
    body.arrive(bytes);
    this.#ended();
    return undefined;
  }

  /**
   * Reads the current object. Only if that is another one by now does it request the version that was opened, which takes a permission that
   * readers may lack.
   */
  async #answer(at: ObjectAddress, asked: ReadHeaders): ReturnType<Transport['get']> {
    const { transport } = this.#store;
    const { versionId } = this.#of;
    try {
      if (!this.#isFormer) return await transport.get(at, asked, this.#ctx);
    } catch (error) {
      if (!hasCode(error, ...gone)) throw error;
      if (versionId === undefined) throw replaced(error);
      this.#isFormer = true;
    }
    try {
      return await transport.get(at, { ...asked, ...versionOf(versionId) }, this.#ctx);
    } catch (error) {
      // Whatever the reason, the object has been replaced.
      throw isStorageError(error) && !error.retryable ? replaced(error) : error;
    }
  }

  /** The range of the next request. */
  #next(): ResolvedRange {
    const { body, range } = this.#of;
    const start = range.start + body.received;
    const isFast = performance.now() - this.#endedAt < hesitation;
    this.#most = isFast || this.#most === Infinity ? this.#most * 2 : least;
    return { start, end: Math.min(range.end, start + this.#most - 1) };
  }

  get #isWhole(): boolean {
    const { body, range, size } = this.#of;
    return body.received === lengthOf(size, range);
  }

  #ended(): void {
    const { body } = this.#of;
    this.#endedAt = performance.now();
    this.#release();
    if (this.#isWhole) return body.complete();
    body.endSource();
    this.wanted();
  }
}

function replaced(cause: unknown): Error {
  return storageError('storage_unavailable', 'The object was replaced or deleted while it was read.', { cause });
}
