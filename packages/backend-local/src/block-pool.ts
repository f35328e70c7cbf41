/** Size in bytes of one write of a large upload: small enough that writing and hashing find the bytes in the CPU's caches. */
export const blockSize: number = 256 * 1024;

const keptBlocks = 64;

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
