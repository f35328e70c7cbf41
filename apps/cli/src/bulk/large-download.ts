import { crc32 } from 'node:zlib';

import { hasCode } from '@coffer/storage-core';
import type { ObjectAddress, ObjectInfo } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import type { Session } from '../services/open-session.ts';
import { PartFile } from './part-file.ts';
import { PieceLog } from './piece-log.ts';
import type { Running } from './task.ts';

const mib = 2 ** 20;
/** Objects larger than this many bytes are downloaded in pieces, several at a time. */
export const largeAbove: number = 32 * mib;
const pieceSize = 16 * mib;
/** Bytes that a request asks for at least, however early connections are cut. */
const minRequestBytes = 64 * 1024;
// Requests at the start, and at most. A nearby server is as fast as this process can read, and more sockets only cost both; a distant
// one sends only so much on each.
const initialWorkers = 3;
const maxWorkers = 8;
/** Event loop utilization since the start, above which more sockets gain nothing. */
const maxUtilization = 0.5;

export interface LargeDownloadOptions {
  readonly session: Session;
  readonly at: ObjectAddress;
  readonly target: string;
  /** What is already known about the object. */
  readonly info?: ObjectInfo;
  readonly resume: boolean;
}

/** Downloads an object in pieces, all with the same ETag. Pieces that have arrived are kept, whatever happens to the others. */
export class LargeDownload {
  readonly #options: LargeDownloadOptions;
  #info: ObjectInfo | undefined;
  #part: PartFile | undefined;
  #log: PieceLog | undefined;
  #done = new Set<number>();
  /** Pieces that are partly there: the position to continue from, and the CRC-32 of the bytes before it. */
  readonly #partial = new Map<number, { readonly position: number; readonly crc: number }>();
  /** Bytes per request. When connections are cut before a whole piece has arrived, it shrinks to the number that did arrive. */
  #requestBytes = pieceSize;
  /** Bytes that have arrived. */
  #received = 0;
  /** The highest value that `#received` has had: an object that keeps changing makes no progress. */
  #maxReceived = 0;

  constructor(options: LargeDownloadOptions) {
    this.#options = options;
    this.#info = options.info;
  }

  async run(running: Running): Promise<ObjectInfo> {
    const { session, at } = this.#options;
    this.#info ??= await session.storage.getFileInfo(at, session.ctx);
    const info = this.#info;
    const part = this.#part ?? (await this.#begin(info, running.signal));
    running.moved(this.#received);
    const failures = await this.#fetchMissing(info, part, running);
    running.signal.throwIfAborted();
    const change = failures.find((error) => error instanceof ChangedError);
    if (change !== undefined) await this.#reset();
    if (failures.length > 0) throw change ?? failures[0];
    await part.commit();
    await this.#log?.remove();
    return info;
  }

  /** Several workers fetch one piece after the other. @returns the errors that stopped some of them; none once all pieces are there */
  async #fetchMissing(info: ObjectInfo, part: PartFile, running: Running): Promise<readonly unknown[]> {
    const pieces = Array.from({ length: Math.ceil(info.size / pieceSize) }, (_, index) => index).filter((index) => !this.#done.has(index));
    const failures: unknown[] = [];
    const startUtilization = performance.eventLoopUtilization();
    const workers: Promise<void>[] = [];
    const work = async (): Promise<void> => {
      for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
        const crc = await this.#fetch(piece, info, part, running);
        this.#done.add(piece);
        this.#partial.delete(piece);
        await this.#log?.add(piece, crc);
        const isIdle = running.isAlone() && performance.eventLoopUtilization(startUtilization).utilization < maxUtilization;
        if (isIdle && workers.length < maxWorkers && pieces.length > 0) start();
      }
    };
    // Other workers finish their current pieces, so that those need not be fetched again.
    const fail = (error: unknown): void => {
      failures.push(error);
      pieces.length = 0;
    };
    const start = (): void => void workers.push(work().catch(fail));
    for (let index = 0; index < initialWorkers; index++) start();
    for (const worker of workers) await worker; // including workers that are started meanwhile
    return failures;
  }

  /** With `resume`, what has arrived stays for a later run. */
  async abandon(): Promise<void> {
    if (this.#options.resume && this.#log !== undefined) {
      await this.#part?.close();
      await this.#log.close();
    } else {
      await this.#reset();
    }
  }

  async #begin(info: ObjectInfo, signal: AbortSignal): Promise<PartFile> {
    const { resume, target } = this.#options;
    this.#log = resume ? await PieceLog.open(target, { ...this.#options.at, etag: info.etag, size: info.size, pieceSize }) : undefined;
    const part = await PartFile.open(target, this.#log?.partPath);
    this.#part = part;
    // Cuts off what an earlier run of another object left beyond the end.
    await part.resize(info.size);
    if (this.#log !== undefined) {
      this.#done = await verifiedPieces(part, { pieces: this.#log.done, size: info.size, signal });
      for (const piece of this.#done) this.#received += Math.min(pieceSize, info.size - piece * pieceSize);
    }
    return part;
  }

  /** @returns the CRC-32 of the piece; 0 where none is computed */
  async #fetch(piece: number, { etag, size }: ObjectInfo, part: PartFile, running: Running): Promise<number> {
    const { session, at } = this.#options;
    const start = piece * pieceSize;
    const last = Math.min(start + pieceSize, size);
    let { position, crc } = this.#partial.get(piece) ?? { position: start, crc: 0 }; // both cover only bytes verified to be of this object
    while (position < last) {
      const from = position;
      const end = Math.min(from + this.#requestBytes, last);
      const sink = async (chunk: Uint8Array): Promise<void> => {
        if (this.#log !== undefined) crc = crc32(chunk, crc);
        await part.write(chunk, position);
        position += chunk.length;
        running.moved(chunk.length);
      };
      const range = { start: from, end: end - 1 };
      const { info } = await session.storage
        .pullFile(at, { range }, sink, { ...session.ctx, signal: running.signal })
        .catch((error: unknown) => {
          if (hasCode(error, 'range_not_satisfiable')) throw new ChangedError(); // it has become smaller
          // It is unknown which object the bytes of a cut response belong to: they are fetched again, and then it shows.
          this.#requestBytes = Math.max(minRequestBytes, position - from);
          throw error;
        });
      // A condition on the ETag would cost some servers another request.
      if (info.etag !== etag || info.size !== size) throw new ChangedError();
      if (position !== end) throw new LocalError('incomplete', 'The download ended too early.', { retryable: true });
      this.#requestBytes = Math.min(2 * this.#requestBytes, pieceSize);
      this.#partial.set(piece, { position, crc });
      this.#received += end - from;
      if (this.#received > this.#maxReceived) {
        this.#maxReceived = this.#received;
        running.advanced();
      }
    }
    return crc;
  }

  async #reset(): Promise<void> {
    await this.#part?.remove();
    await this.#log?.remove();
    this.#part = undefined;
    this.#log = undefined;
    this.#info = undefined;
    this.#done.clear();
    this.#partial.clear();
    this.#received = 0;
  }
}

/** The pieces whose bytes still match their CRC-32. */
async function verifiedPieces(
  part: PartFile,
  options: { readonly pieces: ReadonlyMap<number, number>; readonly size: number; readonly signal: AbortSignal },
): Promise<Set<number>> {
  const { pieces, size, signal } = options;
  const found = new Set<number>();
  const block = Buffer.allocUnsafe(mib);
  for (const [piece, sum] of pieces) {
    const start = piece * pieceSize;
    const end = Math.min(start + pieceSize, size);
    if (start >= end) continue;
    let crc = 0;
    for (let at = start; at < end; at += mib) {
      signal.throwIfAborted();
      const bytes = block.subarray(0, Math.min(mib, end - at));
      await part.read(bytes, at).catch(() => {}); // unreadable bytes fail the comparison below
      crc = crc32(bytes, crc);
    }
    if (crc === sum) found.add(piece);
  }
  return found;
}

class ChangedError extends LocalError {
  constructor() {
    super('object_changed', 'The object changed while it was being downloaded.', { retryable: true });
  }
}
