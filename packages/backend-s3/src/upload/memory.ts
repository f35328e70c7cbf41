import { onAbort, releaseChunk } from '@coffer/storage-core';

import { Slots } from '../slots.ts';
import type { Taker } from '../slots.ts';
import type { Tenants } from '../tenants.ts';

/** Bytes in memory, until they are released. */
export interface HeldBuffer {
  readonly buffer: Buffer;
  /** @param reusable false if somebody may still read the bytes, such as a request that was given up */
  release(reusable: boolean): void;
}

const smallest = 64 * 1024;
/** Milliseconds after which a client whose bytes are still arriving counts as slow. */
const slowAfter = 1000;
const checkInterval = 100;
/** Parts' worth of unused memory to keep; less while more than that is in use. */
const maxIdleParts = 4;

/**
 * The single limit on the memory of all uploads. Released buffers are reused by the next upload of about the same size. Garbage collection
 * does not see how large they are, and would leave them for a long time.
 */
export class UploadMemory {
  /** Bytes that an upload may hold without asking, so that small uploads do not wait for large ones. */
  static readonly unmeteredBytes: number = 256 * 1024;
  readonly partSize: number;
  readonly #capacity: number;
  readonly #slots: Slots;
  /** For spooled parts, and copies: these are held only as long as it takes to send them. */
  readonly #spooledSlots: Slots;
  /** Those of the held buffers that wait for the bytes of a client. */
  readonly #filling = new Set<{ readonly size: number; readonly since: number }>();
  /** Buffers of the sizes that `#sizeFor` returns, the most recently used last. */
  readonly #idle: Buffer[] = [];
  #idleBytes = 0;
  #heldBytes = 0;

  constructor(options: { readonly capacity: number; readonly partSize: number; readonly patience: number; readonly tenants?: Tenants }) {
    const { capacity, partSize, ...rest } = options;
    this.partSize = partSize;
    this.#capacity = Math.max(capacity, partSize);
    const slots = { ...rest, resource: 'buffers for uploads', smallest: partSize };
    this.#slots = new Slots({ ...slots, capacity: this.#capacity });
    this.#spooledSlots = new Slots({ ...slots, capacity: Math.max(this.#capacity / 4, partSize) });
  }

  async take(size: number, taker: Taker): Promise<HeldBuffer> {
    return this.#hold(size, size > UploadMemory.unmeteredBytes ? await this.#slots.take(size, taker) : undefined);
  }

  /** Memory in addition to the capacity: a quarter of it, or a part if that is more, shared by all spooled parts and copies. */
  async takeForSpooled(size: number, taker: Taker): Promise<HeldBuffer> {
    return this.#hold(size, await this.#spooledSlots.take(size, taker));
  }

  /** Like `take`, as long as the holders of memory are about to release it. @returns undefined if they are waiting for their clients */
  async takeUnlessStuck(size: number, taker: Taker): Promise<HeldBuffer | undefined> {
    const free = this.#slots.takeFree(size, taker);
    if (free !== undefined) return this.#hold(size, free);
    if (this.#isStuck(size, 0)) return undefined;
    const giveUp = new AbortController();
    const since = performance.now();
    let hasGivenUp = false;
    const timer = setInterval(() => {
      if (!this.#isStuck(size, performance.now() - since)) return;
      hasGivenUp = true;
      giveUp.abort();
    }, checkInterval);
    const stopWaiting = onAbort(taker.signal, () => giveUp.abort(taker.signal?.reason));
    try {
      return this.#hold(size, await this.#slots.take(size, { ...taker, signal: giveUp.signal }));
    } catch (error) {
      if (hasGivenUp) return undefined;
      throw error;
    } finally {
      clearInterval(timer);
      stopWaiting();
    }
  }

  /** For bytes that the server sends: like those of spooled parts, they are held only briefly, and wait for no slow client. */
  async takeForCopy(size: number, taker: Taker): Promise<HeldBuffer> {
    if (size <= UploadMemory.unmeteredBytes) return this.take(size, taker);
    return (await this.takeUnlessStuck(size, taker)) ?? this.takeForSpooled(size, taker);
  }

  /** @param work reads the bytes of a client into `size` bytes of held memory */
  async whileFilling<T>(size: number, work: Promise<T>): Promise<T> {
    const filling = { size, since: performance.now() };
    this.#filling.add(filling);
    try {
      return await work;
    } finally {
      this.#filling.delete(filling);
    }
  }

  /** Whether there is no room while slow clients remain; after waiting a while, whether there are any. */
  #isStuck(size: number, waited: number): boolean {
    const slowSince = performance.now() - slowAfter;
    let slow = 0;
    for (const filling of this.#filling) if (filling.since <= slowSince) slow += filling.size;
    return slow > 0 && (slow + size > this.#capacity || waited >= slowAfter);
  }

  #hold(size: number, release: (() => void) | undefined): HeldBuffer {
    const memory = this.#memoryFor(size, release);
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

  /** @throws RangeError if the system has no memory left; the slots are then released */
  #memoryFor(size: number, release: (() => void) | undefined): Buffer {
    try {
      return this.#takeIdle(this.#sizeFor(size)) ?? this.#allocate(this.#sizeFor(size));
    } catch (error) {
      release?.();
      throw error;
    }
  }

  /** Up to twice as much as requested; the excess is never touched. */
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

  /** Frees idle buffers of other sizes to make room, but no more than necessary. */
  #allocate(size: number): Buffer {
    const room = maxIdleParts * this.partSize - this.#heldBytes - size;
    this.#trimIdle(Math.max(room, this.#idleBytes - size));
    return size > UploadMemory.unmeteredBytes ? allocatePages(size) : Buffer.allocUnsafeSlow(size);
  }

  #keep(memory: Buffer): void {
    this.#idle.push(memory);
    this.#idleBytes += memory.length;
    this.#trimIdle(maxIdleParts * this.partSize);
  }

  #trimIdle(maxBytes: number): void {
    while (this.#idleBytes > Math.max(maxBytes, 0)) {
      const memory = this.#idle.shift()!;
      this.#idleBytes -= memory.length;
      releaseChunk(memory);
    }
  }
}

/**
 * Memory that V8 obtains from the system and returns to it, as it does for resizable buffers. The process's allocator would keep freed
 * memory in fragments, which after a while amount to as much again as all parts. Up to Node 22, `fetch` does not accept such buffers;
 * sockets and hashes do.
 */
function allocatePages(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size, { maxByteLength: size }), 0, size);
}
