import { AsyncLocalStorage } from 'node:async_hooks';
import { Readable } from 'node:stream';

import { cutError } from './socket-errors.ts';

/** Where the bytes of a body come from. */
export interface BodySource {
  /** Tells the source whether more may arrive for now (backpressure). */
  flow(isWanted: boolean): void;
  /** Abandons the source: nobody reads the rest. */
  abandon(error: Error | undefined): void;
}

/** Fetches the rest of a body from elsewhere. */
export interface Resumer {
  /** The whole body has arrived. */
  onComplete(): void;
  /** The reader wants more, and there is no source. */
  onDemand(): void;
  /** The source has failed. @returns whether the rest will come nevertheless, at once or when it is wanted */
  onSourceFailure(error: Error): boolean;
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
  resumer: Resumer | undefined;
  #source: BodySource | undefined;
  /** When the reader had enough for the time being. */
  #fullSince: number | undefined;
  #inReaderContext: (run: () => void) => void = (run) => run();

  constructor(source: BodySource) {
    super();
    this.#source = source;
  }

  /** Milliseconds for which the reader has not wanted more; 0 if it does, or if there is no source. */
  get stalledFor(): number {
    return this.#fullSince === undefined || this.#source === undefined ? 0 : performance.now() - this.#fullSince;
  }

  get hasSource(): boolean {
    return this.#source !== undefined;
  }

  /** Whether the reader waits and there is no source. */
  get isStarving(): boolean {
    return this.#fullSince === undefined && this.#source === undefined && !this.isComplete && !this.destroyed;
  }

  /** From now on the reader is called in the current async context. A kept socket otherwise has that of whoever needed it first. */
  bindContext(): void {
    this.#inReaderContext = AsyncLocalStorage.snapshot();
  }

  /** @param piece belongs to the reader from now on */
  arrive(piece: Buffer): void {
    this.received += piece.length;
    let isWanted = false;
    this.#inReaderContext(() => (isWanted = this.push(piece)));
    if (isWanted) return;
    this.#fullSince = performance.now();
    this.#source?.flow(false);
  }

  /** Call when everything has arrived. The source may then serve others. */
  complete(): void {
    this.#source = undefined;
    this.isComplete = true;
    this.#inReaderContext(() => this.push(null));
    this.resumer?.onComplete();
  }

  /** Call when the source gives no more. */
  sourceFailed(error: Error): void {
    if (this.#source === undefined) return;
    this.#source = undefined;
    if (this.resumer?.onSourceFailure(error) !== true) this.fail(error);
  }

  /** Ends the body with `error`: nothing more arrives. */
  fail(error: Error): void {
    if (this.destroyed) return;
    this.failure = error;
    this.#inReaderContext(() => this.destroy(error));
  }

  /** Abandons the source so that it can serve others, until more is wanted. */
  releaseSource(): void {
    const source = this.#source;
    this.#source = undefined;
    source?.abandon(undefined);
  }

  /** Continues with the rest, or some of it, from `source`. Call when the reader waits. */
  continueFrom(source: BodySource): void {
    if (this.destroyed) return source.abandon(undefined);
    this.#source = source;
  }

  /** Call when a source that held only some of the rest has ended. */
  endSource(): void {
    this.#source = undefined;
  }

  override _read(): void {
    this.#fullSince = undefined;
    if (this.#source === undefined) this.resumer?.onDemand();
    else this.#source.flow(true);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const source = this.#source;
    this.#source = undefined;
    source?.abandon(error ?? undefined);
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
  let isAbandoned = false;
  const fail = (error: Error): void => {
    if (!isAbandoned) body().sourceFailed(error);
  };
  // A stream that was about to flow when it was abandoned still emits what it holds. By then that has been requested elsewhere.
  stream.on('data', (chunk: Buffer) => {
    if (!isAbandoned) body().arrive(chunk);
  });
  stream.on('end', () => {
    if (isAbandoned) return;
    isAbandoned = true;
    ended();
  });
  stream.on('error', fail);
  stream.on('close', () => fail(cutError('closed before its end')));
  return {
    flow: (isWanted) => void (isWanted ? stream.resume() : stream.pause()),
    abandon(error) {
      isAbandoned = true;
      stream.destroy(error);
    },
  };
}
