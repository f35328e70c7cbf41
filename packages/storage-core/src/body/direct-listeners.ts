import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';

/** The listeners of a stream whose bytes are read past it. */
export class DirectListeners {
  readonly #stream: Readable;
  #resolveDrain: (() => void) | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  /** Called by the stream's `_read` and `_destroy`: more is wanted, or nothing any more. */
  onDrain(): void {
    this.#resolveDrain?.();
  }

  /** Gives listeners the same bytes, at the pace of the slowest. */
  async deliver(bytes: Uint8Array): Promise<void> {
    if (!this.#hasListeners() || push(this.#stream, Buffer.from(bytes))) return;
    const onRemoved = (): void => {
      if (!this.#hasListeners()) this.onDrain();
    };
    this.#stream.on('removeListener', onRemoved);
    await new Promise<void>((resolve) => {
      this.#resolveDrain = resolve;
    });
    this.#stream.off('removeListener', onRemoved);
  }

  /** Ends and closes the stream. */
  end(): void {
    push(this.#stream, null);
    this.#stream.resume(); // flows to its end, which closes it
  }

  #hasListeners(): boolean {
    return this.#stream.listenerCount('data') + this.#stream.listenerCount('readable') > 0;
  }
}

/** Bypasses a `push` that counts bytes: these were counted when they were read. */
function push(stream: Readable, chunk: Buffer | null): boolean {
  return Readable.prototype.push.call(stream, chunk);
}
