import { Readable } from 'node:stream';

/** A body that is in memory. As a stream it is like any other; who finds out that it is none has its bytes with much less work. */
class WholeBody extends Readable {
  bytes: Buffer | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor(bytes: Buffer, signal: AbortSignal | undefined) {
    super();
    this.bytes = bytes;
    this.#signal = signal;
  }

  override _read(): void {
    const { bytes } = this;
    this.bytes = undefined;
    if (this.#signal?.aborted === true) {
      this.on('error', () => {}); // as of any body: a reader asks the stream itself
      this.destroy(this.#signal.reason as Error);
      return;
    }
    if (bytes !== undefined && bytes.length > 0) this.push(bytes);
    this.push(null);
  }
}

/** @param signal that ends it, as it ends a body which still arrives: until it is read */
export function wholeBody(bytes: Buffer, signal?: AbortSignal): Readable {
  return new WholeBody(bytes, signal);
}

/** How many bytes a body has that is in memory, and of which nothing was read. */
export function wholeLength(body: Readable): number | undefined {
  return body instanceof WholeBody && !body.destroyed ? body.bytes?.length : undefined;
}

/** The bytes of a body that is in memory, which nobody else follows. It is over then, and tells nobody of it. */
export function takeWhole(body: Readable): Buffer | undefined {
  if (!(body instanceof WholeBody) || body.destroyed || body.eventNames().length > 0) return undefined;
  const { bytes } = body;
  body.bytes = undefined;
  return bytes;
}
