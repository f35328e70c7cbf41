import {
  close,
  closeSync,
  fstat,
  fstatSync,
  lstat,
  lstatSync,
  open,
  openSync,
  read,
  readSync,
  rename,
  renameSync,
  write,
  writeSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { promisify } from 'node:util';
import { monotonicMs } from '../clock.ts';

type MaybePromise<T> = T | Promise<T>;

export const readInThread = promisify(read);

const threaded = {
  open: promisify(open),
  stat: promisify(fstat),
  find: promisify(lstat),
  read: readInThread,
  write: promisify(write),
  close: promisify(close),
  rename: promisify(rename),
};

/** Calls move to threads when they take more milliseconds on average. */
const maxAverageMs = 0.5;
/**
 * The weight of one call in the average, and the most milliseconds that it counts as: a process that waits for a CPU does not have a
 * slow disk.
 */
const averageWeight = 1 / 32;
const maxCountedMs = 10;
/**
 * One call in this many is timed: reading the clock twice costs as much as closing a file. Files take four or five calls each, in
 * turn, and every kind of call must be timed now and then.
 */
const timingInterval = 7;
/** Milliseconds until synchronous calls are tried again. */
const syncRetryMs = 1000;

/**
 * File system calls for small files. Most are answered from memory, where a synchronous call takes a fraction of the CPU time of one
 * on Node's threads. Where calls have been slow, on disks that seek and on network file systems, threads make them for a while, so
 * that requests go on meanwhile.
 */
export class Disk {
  #average = 0;
  #threadsUntil: number | undefined;
  #untimedCalls = 0;

  open(path: string, flags: number | string, mode?: number): MaybePromise<number> {
    return this.#call(
      () => openSync(path, flags, mode),
      () => threaded.open(path, flags, mode),
    );
  }

  stat(fd: number): MaybePromise<Stats> {
    return this.#call(
      () => fstatSync(fd),
      () => threaded.stat(fd),
    );
  }

  /** The entry at a path, without following links; undefined where there is none. */
  find(path: string): MaybePromise<Stats | undefined> {
    return this.#call(
      () => lstatSync(path, { throwIfNoEntry: false }),
      () =>
        threaded.find(path).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
          return undefined;
        }),
    );
  }

  /** @returns how many bytes were read; 0 at the end */
  read(fd: number, target: Uint8Array, offset: number, position: number): MaybePromise<number> {
    const length = target.length - offset;
    return this.#call(
      () => readSync(fd, target, offset, length, position),
      async () => (await threaded.read(fd, target, offset, length, position)).bytesRead,
    );
  }

  /** @returns how many bytes were written */
  write(fd: number, source: Uint8Array, offset: number, position: number): MaybePromise<number> {
    const length = source.length - offset;
    return this.#call(
      () => writeSync(fd, source, offset, length, position),
      async () => (await threaded.write(fd, source, offset, length, position)).bytesWritten,
    );
  }

  close(fd: number): MaybePromise<void> {
    return this.#call(
      () => closeSync(fd),
      () => threaded.close(fd),
    );
  }

  rename(from: string, to: string): MaybePromise<void> {
    return this.#call(
      () => renameSync(from, to),
      () => threaded.rename(from, to),
    );
  }

  #call<T>(callSync: () => T, callInThread: () => Promise<T>): MaybePromise<T> {
    if (this.#threadsUntil === undefined && ++this.#untimedCalls < timingInterval) return callSync();
    this.#untimedCalls = 0;
    const started = monotonicMs();
    if (this.#threadsUntil !== undefined) {
      if (started < this.#threadsUntil) return callInThread();
      this.#threadsUntil = undefined;
    }
    try {
      return callSync();
    } finally {
      const now = monotonicMs();
      this.#average += (Math.min(now - started, maxCountedMs) - this.#average) * averageWeight;
      if (this.#average > maxAverageMs) {
        this.#threadsUntil = now + syncRetryMs;
        this.#average = 0;
      }
    }
  }
}

/** The instance that the whole command shares. */
export const disk = new Disk();
