import { hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

import { sizeMismatch } from '@coffer/storage-core';

import { blockSize } from './block-pool.ts';
import type { BlockPool } from './block-pool.ts';
import { translated } from './errors.ts';
import type { Digests, HashThread, StreamHash } from './hash-thread.ts';
import { datasync, sync } from './sync.ts';
import type { TempFile, TempFiles } from './temp-files.ts';

export interface UploadTools {
  readonly temp: TempFiles;
  readonly pool: BlockPool;
  readonly hashes: HashThread;
}

// First buffer of a body of unknown size: most bodies are small.
const firstBuffer = 64 * 1024;
// Blocks being written and hashed while the next one fills, about two megabytes per upload at most. Several, so that a thread that
// is scheduled late does not make the others wait. While many uploads wait for the disk, one each: they would fill the memory otherwise.
const blocksInFlight = 6;
// Bytes after which a sync starts alongside the upload, so that the final sync has little left to do.
const syncEvery = 32 * 1024 * 1024;
const nothing = new Uint8Array(0);

/**
 * Writes and hashes one upload. A body of up to one block is kept in memory, hashed on this thread and written at once. A larger one
 * goes block by block, each written and hashed at the same time on other threads.
 */
export class UploadFile {
  readonly #tools: UploadTools;
  readonly #onFailure: (error: Error) => void;
  readonly #announced: number | undefined;
  /** The buffer being filled: a block of the pool, or the single buffer of a small body. */
  #block: Uint8Array = nothing;
  #pooled: Uint8Array<SharedArrayBuffer> | undefined;
  #filled = 0;
  #file: TempFile | undefined;
  #hash: StreamHash | undefined;
  readonly #inFlight: Promise<void>[] = [];
  #position = 0;
  #writing: Promise<void> = Promise.resolve();
  #syncedTo = 0;
  #syncing: Promise<void> | undefined;

  /**
   * @param announced size in bytes, if known; no more may be written
   * @param onFailure called at once when a block cannot be written
   */
  constructor(tools: UploadTools, announced: number | undefined, onFailure: (error: Error) => void) {
    this.#tools = tools;
    this.#onFailure = onFailure;
    this.#announced = announced;
  }

  /**
   * Resolves when there is room for more.
   * @returns whether `bytes` may be reused
   */
  async write(bytes: Uint8Array): Promise<boolean> {
    if (bytes.byteLength === this.#announced && bytes.byteLength <= blockSize) {
      this.#block = bytes; // the whole body in one piece: no copy
      this.#filled = bytes.byteLength;
      return false;
    }
    const size = bytes.byteLength;
    for (let taken = 0; taken < size;) {
      if (this.#filled === this.#block.byteLength) await this.#makeRoom();
      assertKept(bytes, size);
      const part = bytes.subarray(taken, taken + this.#block.byteLength - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.byteLength;
      taken += part.byteLength;
    }
    return true;
  }

  /** Makes the bytes durable and resolves to their digests. */
  async finish(): Promise<Digests> {
    if (this.#file === undefined) {
      const data = this.#block.subarray(0, this.#filled);
      const { handle } = (this.#file = await this.#tools.temp.create());
      await writeAll(handle, data, 0);
      await translated(sync(handle));
      assertKept(data, this.#filled);
      return { md5: hash('md5', data), sha256: hash('sha256', data) };
    }
    await this.#send();
    await Promise.all(this.#inFlight);
    await this.#syncing;
    const [digests] = await Promise.all([this.#hash!.digest(), translated(sync(this.#file.handle))]);
    return digests;
  }

  /** Closes the file and leaves it to the caller. @returns its path */
  async close(): Promise<string> {
    this.#recycle();
    const { handle, path } = this.#file!;
    await translated(handle.close());
    return path;
  }

  /** Cleans up, whatever state the upload is in. */
  async abandon(): Promise<void> {
    await Promise.allSettled([...this.#inFlight, this.#syncing]);
    this.#recycle();
    this.#hash?.discard();
    if (this.#file === undefined) return;
    await this.#file.handle.close().catch(() => {}); // already closed, or broken: it is removed either way
    await this.#tools.temp.discard(this.#file.path);
  }

  async #makeRoom(): Promise<void> {
    if (this.#pooled !== undefined) await this.#send();
    else if (this.#block === nothing && (this.#announced ?? 0) <= blockSize) {
      this.#block = new Uint8Array(this.#announced ?? firstBuffer);
      return;
    }
    const block = this.#tools.pool.take();
    block.set(this.#block);
    this.#block = block;
    this.#pooled = block;
  }

  /** Hands over the block to be written and hashed. */
  async #send(): Promise<void> {
    const block = this.#pooled!; // set for every body that is sent in blocks
    const data = block.subarray(0, this.#filled);
    const { temp, hashes, pool } = this.#tools;
    const { handle } = (this.#file ??= await temp.create());
    const hashing = (this.#hash ??= hashes.begin());
    this.#block = nothing;
    this.#pooled = undefined;
    this.#filled = 0;
    // One write at a time: a file has one lock, and a second writer would only spin on it.
    const position = this.#position;
    this.#writing = this.#writing.then(() => writeAll(handle, data, position));
    const sent = Promise.all([this.#writing, hashing.update(data)]).then(
      () => pool.give(block),
      (error: unknown) => {
        pool.drop();
        throw error;
      },
    );
    sent.catch(this.#onFailure);
    this.#position += data.byteLength;
    this.#inFlight.push(sent);
    const most = pool.isShort ? 1 : blocksInFlight;
    while (this.#inFlight.length >= most) await this.#inFlight.shift();
    this.#syncAlong(handle);
  }

  #syncAlong(handle: FileHandle): void {
    if (this.#syncing !== undefined || this.#position - this.#syncedTo < syncEvery) return;
    this.#syncedTo = this.#position;
    const syncing = translated(datasync(handle)).then(() => void (this.#syncing = undefined));
    syncing.catch(this.#onFailure);
    this.#syncing = syncing;
  }

  #recycle(): void {
    if (this.#pooled !== undefined) this.#tools.pool.give(this.#pooled);
    this.#pooled = undefined;
    this.#block = nothing;
  }
}

/** The caller may have transferred or shrunk its memory meanwhile: its bytes are gone then. @throws invalid_argument */
function assertKept(bytes: Uint8Array, size: number): void {
  if (bytes.byteLength < size) throw sizeMismatch(bytes.byteLength, size);
}

/** A write may be short, above all on a full disk; writing the rest then reports the error. */
async function writeAll(handle: FileHandle, data: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < data.byteLength;) {
    const { bytesWritten } = await translated(handle.write(data, written, data.byteLength - written, position + written));
    written += bytesWritten;
  }
}
