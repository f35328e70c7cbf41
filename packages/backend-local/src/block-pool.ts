/** Size in bytes of one write of a large upload: small enough to stay in the CPU caches while it is written and hashed. */
export const blockSize: number = 256 * 1024;

const keptBlocks = 64;

/** Reused buffers for large uploads, which would otherwise each produce megabytes of garbage. Shared memory, for the hash thread. */
export class BlockPool {
  readonly #free: Uint8Array<SharedArrayBuffer>[] = [];
  #taken = 0;

  /** Whether so many are in use that an upload should do with few. */
  get isShort(): boolean {
    return this.#taken > keptBlocks;
  }

  take(): Uint8Array<SharedArrayBuffer> {
    this.#taken++;
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(blockSize));
  }

  give(block: Uint8Array<SharedArrayBuffer>): void {
    this.#taken--;
    if (this.#free.length < keptBlocks) this.#free.push(block);
  }

  /** For a block that a failed write or hash may still be using. */
  drop(): void {
    this.#taken--;
  }
}
