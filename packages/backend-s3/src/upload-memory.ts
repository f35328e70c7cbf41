import { Slots } from './slots.ts';

/** Bytes in memory, until they are given back. */
export interface HeldBuffer {
  readonly buffer: Buffer;
  /** @param reusable false when somebody may still look at the bytes, such as a request that was given up */
  release(reusable: boolean): void;
}

const mostIdle = 4;

/** The one bound of what all uploads hold in memory. Buffers of the size of a part are used again. */
export class UploadMemory {
  /** Bytes that an upload may hold without asking: small uploads do not wait for large ones. */
  static readonly unasked: number = 256 * 1024;
  readonly partSize: number;
  readonly #slots: Slots;
  readonly #idle: Buffer[] = [];

  constructor(options: { readonly capacity: number; readonly partSize: number; readonly patience: number }) {
    const { capacity, partSize, patience } = options;
    this.partSize = partSize;
    this.#slots = new Slots({ capacity: Math.max(capacity, partSize), patience, what: 'buffers for uploads' });
  }

  async take(size: number, signal: AbortSignal | undefined): Promise<HeldBuffer> {
    const release = size > UploadMemory.unasked ? await this.#slots.take(size, signal) : undefined;
    const isPart = size === this.partSize;
    const buffer = (isPart ? this.#idle.pop() : undefined) ?? Buffer.allocUnsafeSlow(size);
    return {
      buffer,
      release: (reusable) => {
        if (isPart && reusable && this.#idle.length < mostIdle && !this.#idle.includes(buffer)) this.#idle.push(buffer);
        release?.();
      },
    };
  }
}
