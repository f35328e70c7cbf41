import { AsyncLocalStorage } from 'node:async_hooks';
import { Readable } from 'node:stream';

import { cutError } from './socket-errors.ts';

/** Where the bytes of a body come from. */
export interface BodySource {
  /** Tells the source whether more may arrive for now (backpressure). */
  flow(isWanted: boolean): void;
  /** Abandons the source: nobody reads the rest. */
  leave(error: Error | undefined): void;
}

/** Fetches the rest of a body from elsewhere. */
export interface BodyRest {
  /** The whole body has arrived. */
  arrived(): void;
  /** The reader wants more, and there is no source. */
  wanted(): void;
  /** The source has failed. @returns whether the rest will come nevertheless, at once or when it is wanted */
  missed(error: Error): boolean;
}

/** The body of an answer while it arrives. */
export class AnswerBody extends Readable {
  /** Bytes received so far. */
  received = 0;
  /** Whether all of it has arrived. */
  isComplete = false;
  /** The error that kept it from arriving completely, as opposed to one with which its reader ends it. */
  failure: Error | undefined;
  /** Without it, the body ends with its source. */
  rest: BodyRest | undefined;
  #source: BodySource | undefined;
  /** When the reader had enough for the time being. */
  #fullSince: number | undefined;
  #told: (tell: () => void) => void = (tell) => tell();

  constructor(source: BodySource) {
    super();
    this.#source = source;
  }

  /** Bytes that the reader has taken. */
  get taken(): number {
    return this.received - this.readableLength;
  }

  /** Milliseconds for which the reader has not wanted more; 0 if it does, or if there is no source. */
  get stalledFor(): number {
    return this.#fullSince === undefined || this.#source === undefined ? 0 : performance.now() - this.#fullSince;
  }

  get isFed(): boolean {
    return this.#source !== undefined;
  }

  /** Whether the reader waits and there is no source. */
  get isStarving(): boolean {
    return this.#fullSince === undefined && this.#source === undefined && !this.isComplete && !this.destroyed;
  }

  /** From now on the reader is called in the current async context. A kept socket otherwise has that of whoever needed it first. */
  bindContext(): void {
    this.#told = AsyncLocalStorage.snapshot();
  }

  /** @param piece belongs to the reader from now on */
  arrive(piece: Buffer): void {
    this.received += piece.length;
    let isWanted = false;
    this.#told(() => (isWanted = this.push(piece)));
    if (isWanted) return;
    this.#fullSince = performance.now();
    this.#source?.flow(false);
  }

  /** Call when everything has arrived. The source may then serve others. */
  complete(): void {
    this.#source = undefined;
    this.isComplete = true;
    this.#told(() => this.push(null));
    this.rest?.arrived();
  }

  /** Call when the source gives no more. */
  miss(error: Error): void {
    if (this.#source === undefined) return;
    this.#source = undefined;
    if (this.rest?.missed(error) !== true) this.fail(error);
  }

  /** Ends the body with `error`: nothing more arrives. */
  fail(error: Error): void {
    if (this.destroyed) return;
    this.failure = error;
    this.#told(() => this.destroy(error));
  }

  /** Abandons the source so that it can serve others, until more is wanted. */
  lend(): void {
    const source = this.#source;
    this.#source = undefined;
    source?.leave(undefined);
  }

  /** Continues with the rest, or some of it, from `source`. */
  continueFrom(source: BodySource): void {
    if (this.destroyed) return source.leave(undefined);
    this.#source = source;
    if (this.#fullSince !== undefined) source.flow(false);
  }

  /** Call when a source that held only some of the rest has ended. */
  endSource(): void {
    this.#source = undefined;
  }

  override _read(): void {
    this.#fullSince = undefined;
    if (this.#source === undefined) this.rest?.wanted();
    else this.#source.flow(true);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const source = this.#source;
    this.#source = undefined;
    source?.leave(error ?? undefined);
    callback(error);
  }
}

/** Turns another kind of stream into a body. */
export function bodyOf(stream: Readable): AnswerBody {
  const body: AnswerBody = new AnswerBody(
    sourceOf(
      stream,
      () => body,
      () => body.complete(),
    ),
  );
  return body;
}

/** @param body receives the bytes of the stream, and its failure */
export function sourceOf(stream: Readable, body: () => AnswerBody, ended: () => void): BodySource {
  let isLeft = false;
  const miss = (error: Error): void => {
    if (!isLeft) body().miss(error);
  };
  // A stream that was about to flow when it was abandoned still emits what it holds. By then that has been requested elsewhere.
  stream.on('data', (chunk: Buffer) => {
    if (!isLeft) body().arrive(chunk);
  });
  stream.on('end', () => {
    if (isLeft) return;
    isLeft = true;
    ended();
  });
  stream.on('error', miss);
  stream.on('close', () => miss(cutError('closed before its end')));
  return {
    flow: (isWanted) => void (isWanted ? stream.resume() : stream.pause()),
    leave(error) {
      isLeft = true;
      stream.destroy(error);
    },
  };
}
