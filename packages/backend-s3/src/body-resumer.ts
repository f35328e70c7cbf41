import { hasCode, isStorageError, storageError, takeWholeBody } from '@coffer/storage-core';
import type { CallContext, ObjectAddress, ResolvedRange } from '@coffer/storage-core';

import { unexpectedNotModified } from './conditions.ts';
import { sourceOf } from './http/answer-body.ts';
import type { AnswerBody, BodySource, Resumer } from './http/answer-body.ts';
import { isInterrupted } from './http/socket-errors.ts';
import { lengthOf, rangeHeader } from './ranges.ts';
import type { SlotHolder } from './slot-holders.ts';
import type { Store } from './store.ts';
import type { ReadHeaders, Transport } from './transport.ts';
import { versionOf } from './version-id.ts';

/** Milliseconds without demand from a reader before its connection may serve others. A reader that is merely busy is back sooner. */
const stallThreshold = 200;
/** Milliseconds after which it is the turn of others, however busy a reader is. */
const maxTurn = 1000;
/** Bytes: how much is buffered rather than kept open, and how much a connection has to deliver not to count as a failed attempt. */
const minBytes = 64 * 1024;
/** Codes that mean the object no longer exists, or was replaced, when the rest of it is requested. */
const replacedCodes = ['precondition_failed', 'file_not_found', 'no_such_bucket', 'range_not_satisfiable'] as const;

/** An open body, and which bytes of which object it holds. */
interface OpenBody {
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
 * Fetches the rest of a body with a new request after its connection was cut, or was given to others who waited. Cut connections that
 * deliver next to nothing are tolerated as often in a row as requests are retried. The rest is only ever fetched from the object that was
 * opened: if it has been replaced meanwhile, the body fails.
 */
export class BodyResumer implements Resumer, SlotHolder {
  readonly #store: Store;
  /** The caller's context, with a signal that lasts until the body is closed. */
  readonly #ctx: CallContext;
  readonly #open: OpenBody;
  readonly #closed = new AbortController();
  #release: () => void;
  #isRequesting = false;
  /** Whether another object has replaced this one by now. */
  #isReplaced = false;
  #retries: number;
  /** Bytes received when the previous connection was cut. */
  #cutAt = 0;
  /**
   * Size of the next request in bytes. A slow reader gets little at a time, which arrives at once; twice as much when that was not enough.
   */
  #maxBytes = Infinity;
  #endedAt = -Infinity;
  /** When the current turn began, and how many bytes had been received by then. */
  #turn = { since: performance.now(), from: 0 };

  constructor(store: Store, open: OpenBody, ctx: CallContext) {
    this.#store = store;
    this.#ctx = { ...ctx, signal: this.#closed.signal };
    this.#open = open;
    this.#release = open.release;
    this.#retries = store.settings.maxRetries;
    let unregister: (() => void) | undefined;
    if (open.body.isComplete) this.#release();
    else unregister = store.slotHolders.add(this);
    open.body.once('close', () => {
      unregister?.();
      this.#closed.abort();
      this.#release();
    });
  }

  get tenant(): string {
    return this.#ctx.tenant ?? '';
  }

  /** Milliseconds for which the connection has served nobody; undefined if there is none to give. */
  get stalledFor(): number | undefined {
    const { stalledFor } = this.#open.body;
    return stalledFor < stallThreshold ? undefined : stalledFor;
  }

  get servedFor(): number | undefined {
    const { since, from } = this.#turn;
    const { body } = this.#open;
    if (!body.hasSource || body.received - from < minBytes) return undefined; // a turn delivers something, however slow the server is
    const servedFor = performance.now() - since;
    return servedFor < maxTurn ? undefined : servedFor;
  }

  yieldSlot(): void {
    const { body } = this.#open;
    this.#maxBytes = this.stalledFor === undefined ? Infinity : minBytes;
    body.releaseSource();
    this.#release();
    this.onDemand();
  }

  close(): void {
    const { body } = this.#open;
    if (!this.#isComplete) body.fail(storageError('storage_unavailable', 'The backend was closed while the object was read.'));
  }

  onComplete(): void {
    this.#release();
  }

  onSourceFailure(error: Error): boolean {
    this.#release();
    const { maxRetries } = this.#store.settings;
    const { received } = this.#open.body;
    if (received - this.#cutAt >= minBytes) this.#retries = maxRetries;
    this.#cutAt = received;
    if (!isInterrupted(error) || this.#retries-- <= 0) return false;
    this.onDemand();
    return true;
  }

  onDemand(): void {
    const { body } = this.#open;
    if (this.#isRequesting || !body.isStarving) return;
    if (this.#isComplete) return body.complete(); // the source was abandoned before it could say so
    this.#isRequesting = true;
    this.#request().catch((error: unknown) => {
      this.#release();
      body.fail(error as Error);
    });
  }

  async #request(): Promise<void> {
    const { body } = this.#open;
    while (body.isStarving) {
      const source = await this.#requestNext();
      if (source === undefined) continue;
      this.#turn = { since: performance.now(), from: body.received };
      body.continueFrom(source);
      break;
    }
    this.#isRequesting = false;
  }

  /** @returns the source of the next bytes; undefined if they have already arrived */
  async #requestNext(): Promise<BodySource | undefined> {
    const { at, etag, size, body } = this.#open;
    const range = this.#nextRange();
    this.#release = await this.#store.downloads.take(1, { ...this.#ctx, isResuming: true });
    const answer = await this.#get(at, { ifMatch: etag, range: rangeHeader(range) });
    if (answer.kind !== 'object') throw unexpectedNotModified();
    const { contentLength, contentRange, etag: sent } = answer.headers;
    const isPart = contentRange === `bytes ${range.start}-${range.end}/${size}` && contentLength === lengthOf(size, range);
    if (!isPart || sent !== etag) {
      answer.body.destroy();
      throw storageError('storage_unavailable', 'The storage provider sent something other than the rest of the object.');
    }
    const bytes = takeWholeBody(answer.body);
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
  async #get(at: ObjectAddress, readHeaders: ReadHeaders): ReturnType<Transport['get']> {
    const { transport } = this.#store;
    const { versionId } = this.#open;
    try {
      if (!this.#isReplaced) return await transport.get(at, readHeaders, this.#ctx);
    } catch (error) {
      if (!hasCode(error, ...replacedCodes)) throw error;
      if (versionId === undefined) throw replaced(error);
      this.#isReplaced = true;
    }
    try {
      return await transport.get(at, { ...readHeaders, ...versionOf(versionId) }, this.#ctx);
    } catch (error) {
      // Whatever the reason, the object has been replaced.
      throw isStorageError(error) && !error.retryable ? replaced(error) : error;
    }
  }

  /** The range of the next request. */
  #nextRange(): ResolvedRange {
    const { body, range } = this.#open;
    const start = range.start + body.received;
    const isFast = performance.now() - this.#endedAt < stallThreshold;
    this.#maxBytes = isFast || this.#maxBytes === Infinity ? this.#maxBytes * 2 : minBytes;
    return { start, end: Math.min(range.end, start + this.#maxBytes - 1) };
  }

  get #isComplete(): boolean {
    const { body, range, size } = this.#open;
    return body.received === lengthOf(size, range);
  }

  #ended(): void {
    const { body } = this.#open;
    this.#endedAt = performance.now();
    this.#release();
    if (this.#isComplete) return body.complete();
    body.endSource();
    this.onDemand();
  }
}

function replaced(cause: unknown): Error {
  return storageError('storage_unavailable', 'The object was replaced or deleted while it was read.', { cause });
}
