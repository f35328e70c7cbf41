import { IncomingMessage } from 'node:http';

/** Smaller chunks, in bytes, are joined. */
const smallChunk = 1024;
const maxJoined = 256;

/**
 * A request that joins the small chunks of its body that arrive together. Node gives each chunk memory of its own, 400 bytes even for one
 * byte, and counts only its content when it decides whether to read on: by sending 1.5 MB anybody could make the server hold a hundred, on
 * each connection, with no token and to any route.
 */
export class CompactRequest extends IncomingMessage {
  #small: Buffer[] | undefined;
  #size = 0;

  /** Called by Node's parser, several times in a row for what one read from the socket brought. */
  override push(chunk: Buffer | null): boolean {
    if (chunk === null || chunk.length >= smallChunk) {
      this.#pushJoined();
      return super.push(chunk);
    }
    if (this.#small === undefined) {
      this.#small = [];
      setImmediate(() => this.#pushJoined());
    }
    this.#size += chunk.length;
    if (this.#small.push(chunk) === maxJoined) return this.#pushJoined();
    return this.readableLength + this.#size < this.readableHighWaterMark;
  }

  /** @returns whether more may come, as `push` does */
  #pushJoined(): boolean {
    const small = this.#small;
    if (small === undefined) return true;
    const joined = small.length === 1 ? small[0] : Buffer.concat(small, this.#size);
    this.#small = undefined;
    this.#size = 0;
    return super.push(joined);
  }
}
