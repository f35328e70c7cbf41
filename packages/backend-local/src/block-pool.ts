/** Size in bytes of one write of a large upload: small enough to stay in the CPU caches while it is written and hashed. */
export const blockSize: number = 256 * 1024;

const keptBlocks = 64;

/** Reused buffers for large uploads, which would otherwise each produce megabytes of garbage. Shared memory, for the hash thread. */
export class BlockPool {
  readonly #free: Uint8Array<SharedArrayBuffer>[] = [];

  take(): Uint8Array<SharedArrayBuffer> {
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(blockSize));
  }

  give(block: Uint8Array<SharedArrayBuffer>): void {
    if (this.#free.length < keptBlocks) this.#free.push(block);
  }
}
