import { AsyncLocalStorage } from 'node:async_hooks';
import { Readable } from 'node:stream';

import { cutError } from './socket-errors.ts';

/** Where the bytes of a body come from. */
export interface BodySource {
  /** Whether more may come for now. */
  flow(isWanted: boolean): void;
  /** Nobody reads the rest. */
  leave(error: Error | undefined): void;
}

/** Who knows where else the rest of a body is to be had. */
export interface BodyRest {
  /** There is no more to come. */
  arrived(): void;
  /** The reader wants more, and there is no source. */
  wanted(): void;
  /** The source has failed. @returns whether the rest comes nevertheless: then, or when it is wanted */
  missed(error: Error): boolean;
}

/** The body of an answer, while it arrives. */
export class AnswerBody extends Readable {
  /** Bytes so far. */
  received = 0;
  /** Whether nothing is to come any more. */
  isComplete = false;
  /** What kept it from arriving whole: its reader ends it with other errors. */
  failure: Error | undefined;
  /** Without it, the body ends with its source. */
  rest: BodyRest | undefined;
  #source: BodySource | undefined;
  /** When its reader had enough for the time being. */
  #fullSince: number | undefined;
  #told: (tell: () => void) => void = (tell) => tell();

  constructor(source: BodySource) {
    super();
    this.#source = source;
  }

  /** Bytes that its reader has. */
  get taken(): number {
    return this.received - this.readableLength;
  }

  /** Milliseconds for which its reader has not wanted more, while there is a source for it. */
  get stalledFor(): number {
    return this.#fullSince === undefined || this.#source === undefined ? 0 : performance.now() - this.#fullSince;
  }

  /** Whether there is a source. */
  get isFed(): boolean {
    return this.#source !== undefined;
  }

  /** Whether its reader waits, and nothing is there to come. */
  get isStarving(): boolean {
    return this.#fullSince === undefined && this.#source === undefined && !this.isComplete && !this.destroyed;
  }

  /** From now on, its reader is told of everything in the present context: a kept socket has that of whoever needed it first. */
  bindContext(): void {
    this.#told = AsyncLocalStorage.snapshot();
  }

  /** @param piece is the reader's from now on */
  arrive(piece: Buffer): void {
    this.received += piece.length;
    let isWanted = false;
    this.#told(() => (isWanted = this.push(piece)));
    if (isWanted) return;
    this.#fullSince = performance.now();
    this.#source?.flow(false);
  }

  /** All of it has arrived: the source is there for others again. */
  complete(): void {
    this.#source = undefined;
    this.isComplete = true;
    this.#told(() => this.push(null));
    this.rest?.arrived();
  }

  /** The source gives no more. */
  miss(error: Error): void {
    if (this.#source === undefined) return;
    this.#source = undefined;
    if (this.rest?.missed(error) !== true) this.fail(error);
  }

  /** Nothing more arrives. */
  fail(error: Error): void {
    if (this.destroyed) return;
    this.failure = error;
    this.#told(() => this.destroy(error));
  }

  /** Leaves the source to others, until more is wanted. */
  lend(): void {
    const source = this.#source;
    this.#source = undefined;
    source?.leave(undefined);
  }

  /** The rest, or some of it, comes from there. */
  continueFrom(source: BodySource): void {
    if (this.destroyed) return source.leave(undefined);
    this.#source = source;
    if (this.#fullSince !== undefined) source.flow(false);
  }

  /** The source had some of the rest. */
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

/** A body that is a stream of another kind. */
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

/** @param body is told of the bytes of the stream, and of failures */
export function sourceOf(stream: Readable, body: () => AnswerBody, ended: () => void): BodySource {
  let isLeft = false;
  const miss = (error: Error): void => {
    if (!isLeft) body().miss(error);
  };
  // One that was about to flow when it was left still gives what it holds, which has been asked for elsewhere by then.
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
