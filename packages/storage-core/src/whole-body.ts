import { Readable } from 'node:stream';

import { storageError } from './errors.ts';

/** A body that is in memory. As a stream it is like any other; who finds out that it is none has its bytes with much less work. */
class WholeBody extends Readable {
  readonly signal: AbortSignal | undefined;
  /** Until they are read or taken. */
  bytes: Buffer | undefined;

  constructor(bytes: Buffer, signal: AbortSignal | undefined) {
    super();
    this.bytes = bytes;
    this.signal = signal;
  }

  /** Once: all that there is is pushed then. */
  override _read(): void {
    const { bytes, signal } = this;
    this.bytes = undefined;
    if (signal?.aborted === true) return this.#fail(signal.reason as Error);
    if (bytes === undefined) return this.#fail(storageError('invalid_argument', 'The body has been read already.'));
    if (bytes.length > 0) this.push(bytes);
    this.push(null);
  }

  #fail(error: Error): void {
    this.on('error', () => {}); // as of any body: a reader asks the stream itself
    this.destroy(error);
  }
}

/**
 * An open body of bytes that are in memory already, for backends.
 * @param signal that ends it, as it ends a body which still arrives: until it is read
 */
export function wholeBody(bytes: Buffer, signal?: AbortSignal): Readable {
  return new WholeBody(bytes, signal);
}

/** How many bytes a body has that is in memory, and of which nothing was read. */
export function wholeLength(body: Readable): number | undefined {
  return body instanceof WholeBody && !body.destroyed ? body.bytes?.length : undefined;
}

/** The bytes of a body that is in memory, which nobody else follows. It is over then, and tells nobody of it. */
export function takeWhole(body: Readable): Buffer | undefined {
  if (!(body instanceof WholeBody) || body.destroyed || body.signal?.aborted === true || body.eventNames().length > 0) return undefined;
  const { bytes } = body;
  body.bytes = undefined;
  return bytes;
}
