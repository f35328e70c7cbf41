import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';

/** The listeners of a stream whose bytes are read past it. */
export class DirectListeners {
  readonly #stream: Readable;
  #whenWanted: (() => void) | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  /** Called by the stream's `_read` and `_destroy`: more is wanted, or nothing any more. */
  wanted(): void {
    this.#whenWanted?.();
  }

  /** Gives listeners the same bytes, at the pace of the slowest. */
  async tell(bytes: Uint8Array): Promise<void> {
    if (!this.#isThere() || push(this.#stream, Buffer.from(bytes))) return;
    const left = (): void => {
      if (!this.#isThere()) this.wanted();
    };
    this.#stream.on('removeListener', left);
    await new Promise<void>((resolve) => {
      this.#whenWanted = resolve;
    });
    this.#stream.off('removeListener', left);
  }

  /** Ends and closes the stream. */
  end(): void {
    push(this.#stream, null);
    this.#stream.resume(); // flows to its end, which closes it
  }

  #isThere(): boolean {
    return this.#stream.listenerCount('data') + this.#stream.listenerCount('readable') > 0;
  }
}

/** Bypasses a `push` that counts bytes: these were counted when they were read. */
function push(stream: Readable, chunk: Buffer | null): boolean {
  return Readable.prototype.push.call(stream, chunk);
}
