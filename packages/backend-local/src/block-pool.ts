/** Size in bytes of one write of a large upload. */
export const blockSize: number = 1024 * 1024;

const keptBlocks = 16;

/** Reused buffers of large uploads: fresh ones per upload would be garbage by the megabyte. Shared, for the hash thread. */
export class BlockPool {
  readonly #free: Uint8Array<SharedArrayBuffer>[] = [];

  take(): Uint8Array<SharedArrayBuffer> {
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(blockSize));
  }

  give(block: Uint8Array<SharedArrayBuffer>): void {
    if (this.#free.length < keptBlocks) this.#free.push(block);
  }
}
