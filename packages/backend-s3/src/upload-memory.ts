import { releaseChunk } from '@coffer/storage-core';

import { Slots } from './slots.ts';
import type { Taker } from './slots.ts';
import type { Tenants } from './tenants.ts';

/** Bytes in memory, until they are given back. */
export interface HeldBuffer {
  readonly buffer: Buffer;
  /** @param reusable false when somebody may still look at the bytes, such as a request that was given up */
  release(reusable: boolean): void;
}

const smallest = 64 * 1024;
/** Parts' worth of memory that is kept while nobody uses it; less while more than that is in use. */
const mostIdleParts = 4;

/**
 * The one bound of what all uploads hold in memory. What one has done with, the next one of about its size uses again: left to
 * the garbage collection, which does not see how large it is, it would lie about for long.
 */
export class UploadMemory {
  /** Bytes that an upload may hold without asking: small uploads do not wait for large ones. */
  static readonly unasked: number = 256 * 1024;
  readonly partSize: number;
  readonly #slots: Slots;
  /** Of the sizes that `sizeFor` gives, what was used last at the end. */
  readonly #idle: Buffer[] = [];
  #idleBytes = 0;
  #heldBytes = 0;

  constructor(options: { readonly capacity: number; readonly partSize: number; readonly patience: number; readonly tenants?: Tenants }) {
    const { capacity, partSize, ...rest } = options;
    this.partSize = partSize;
    this.#slots = new Slots({ ...rest, capacity: Math.max(capacity, partSize), what: 'buffers for uploads', smallest: partSize });
  }

  async take(size: number, taker: Taker): Promise<HeldBuffer> {
    const release = size > UploadMemory.unasked ? await this.#slots.take(size, taker) : undefined;
    const memory = this.#takeIdle(this.#sizeFor(size)) ?? this.#allocate(this.#sizeFor(size));
    this.#heldBytes += memory.length;
    let isHeld = true;
    return {
      buffer: size === memory.length ? memory : memory.subarray(0, size),
      release: (reusable) => {
        if (isHeld) this.#heldBytes -= memory.length;
        if (isHeld && reusable) this.#keep(memory);
        isHeld = false;
        release?.();
      },
    };
  }

  /** Up to twice as much as is asked for, of which no more than that is ever touched. */
  #sizeFor(size: number): number {
    let rounded = smallest;
    while (rounded < size) rounded *= 2;
    return size <= this.partSize ? Math.min(rounded, this.partSize) : size;
  }

  #takeIdle(size: number): Buffer | undefined {
    const index = this.#idle.findLastIndex(({ length }) => length === size);
    if (index < 0) return undefined;
    this.#idleBytes -= size;
    return this.#idle.splice(index, 1)[0];
  }

  /** What lies idle in other sizes makes room for it, and for no more. */
  #allocate(size: number): Buffer {
    const room = mostIdleParts * this.partSize - this.#heldBytes - size;
    this.#trimIdle(Math.max(room, this.#idleBytes - size));
    return size > UploadMemory.unasked ? pages(size) : Buffer.allocUnsafeSlow(size);
  }

  #keep(memory: Buffer): void {
    this.#idle.push(memory);
    this.#idleBytes += memory.length;
    this.#trimIdle(mostIdleParts * this.partSize);
  }

  #trimIdle(most: number): void {
    while (this.#idleBytes > Math.max(most, 0)) {
      const memory = this.#idle.shift()!;
      this.#idleBytes -= memory.length;
      releaseChunk(memory);
    }
  }
}

/**
 * Memory that V8 gets from the system, and gives back to it: so it does for buffers that might be resized. The process's allocator would
 * keep what is freed, in pieces between others, which after a while is as much again as all parts. Up to Node 22 `fetch` takes no
 * such buffer; sockets and hashes do.
 */
function pages(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size, { maxByteLength: size }), 0, size);
}
