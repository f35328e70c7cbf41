import { Readable } from 'node:stream';

import { alreadyReadError } from './errors.ts';

/** A body that is in memory. It works like any other stream, but a reader that recognises it gets its bytes with much less work. */
class WholeBody extends Readable {
  readonly signal: AbortSignal | undefined;
  /** Set until they are read or taken. */
  bytes: Buffer | undefined;

  constructor(bytes: Buffer, signal: AbortSignal | undefined) {
    super();
    this.bytes = bytes;
    this.signal = signal;
  }

  /** Runs once and pushes everything. */
  override _read(): void {
    const { bytes, signal } = this;
    this.bytes = undefined;
    if (signal?.aborted === true) return this.#fail(signal.reason as Error);
    if (bytes === undefined) return this.#fail(alreadyReadError());
    if (bytes.length > 0) this.push(bytes);
    this.push(null);
  }

  #fail(error: Error): void {
    this.on('error', () => {}); // as for any body: readers check the stream itself
    this.destroy(error);
  }
}

/**
 * An open body of bytes that are already in memory, for backends.
 * @param signal ends the body until it is read, as it ends a body that is still arriving
 */
export function wholeBody(bytes: Buffer, signal?: AbortSignal): Readable {
  return new WholeBody(bytes, signal);
}

/** The length in bytes of a body that is in memory and entirely unread; undefined for any other. */
export function wholeBodyLength(body: Readable): number | undefined {
  return body instanceof WholeBody && !body.destroyed ? body.bytes?.length : undefined;
}

/** Takes the bytes of a body in memory that has no listeners; undefined for any other. The body is over then, and emits nothing. */
export function takeWholeBody(body: Readable): Buffer | undefined {
  if (!(body instanceof WholeBody) || body.destroyed || body.signal?.aborted === true || body.eventNames().length > 0) return undefined;
  const { bytes } = body;
  body.bytes = undefined;
  return bytes;
}
