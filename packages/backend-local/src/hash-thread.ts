import { Worker } from 'node:worker_threads';

import { storageError } from '@coffer/storage-core';

import { toStorageError } from './errors.ts';

/** Lower-case hex. */
export interface Digests {
  readonly md5: string;
  readonly sha256: string;
}

/** The hashes of one upload. */
export interface StreamHash {
  /** Resolves once the block may be reused. Blocks are hashed in the order of the calls. */
  update(block: Uint8Array<SharedArrayBuffer>): Promise<void>;
  digest(): Promise<Digests>;
  /** Drops the hashes; no digest is wanted. */
  discard(): void;
}

// Blocks are sent as buffer, offset and length, because Deno inspects every element of a typed array in a message.
type Block = Pick<Uint8Array, 'buffer' | 'byteOffset' | 'byteLength'>;
type ThreadRequest = { readonly id: number } & (Block | { readonly end: 'digest' | 'discard' });
type ThreadResponse = { readonly id: number; readonly digests?: Digests };

interface Waiting {
  readonly resolve: (digests: Digests | undefined) => void;
  readonly reject: (error: Error) => void;
}

// Source text instead of a file, so that it survives bundling into an application.
const program = `
  const { parentPort } = require('node:worker_threads');
  const { createHash } = require('node:crypto');
  const streams = new Map();
  parentPort.on('message', ({ id, buffer, byteOffset, byteLength, end }) => {
    let hashes = streams.get(id);
    if (hashes === undefined) streams.set(id, (hashes = [createHash('md5'), createHash('sha256')]));
    if (end === undefined) {
      const block = new DataView(buffer, byteOffset, byteLength);
      for (const hash of hashes) hash.update(block);
      parentPort.postMessage({ id });
      return;
    }
    streams.delete(id);
    if (end === 'discard') return;
    const [md5, sha256] = hashes.map((hash) => hash.digest('hex'));
    parentPort.postMessage({ id, digests: { md5, sha256 } });
  });
`;

/**
 * A thread that hashes large uploads. MD5 and SHA-256 together take about as long as receiving the bytes, time that the main thread
 * would otherwise lose for all other requests. The thread starts with the first large upload and keeps the process alive only while
 * it has work.
 */
export class HashThread {
  #worker: Worker | undefined;
  #nextId = 0;
  readonly #waiting = new Map<number, Waiting[]>();

  begin(): StreamHash {
    const id = this.#nextId++;
    const worker = (this.#worker ??= this.#start());
    return {
      update: async ({ buffer, byteOffset, byteLength }) => {
        await this.#request(worker, { id, buffer, byteOffset, byteLength });
      },
      digest: async () => {
        const digests = await this.#request(worker, { id, end: 'digest' });
        if (digests === undefined) throw ended();
        return digests;
      },
      discard: () => worker.postMessage({ id, end: 'discard' } satisfies ThreadRequest),
    };
  }

  async close(): Promise<void> {
    this.#worker?.removeAllListeners('message'); // a late answer would unref the worker, and the process could exit before the thread ends
    await this.#worker?.terminate();
  }

  #request(worker: Worker, request: ThreadRequest): Promise<Digests | undefined> {
    return new Promise((resolve, reject) => {
      if (worker !== this.#worker) throw ended();
      const queue = this.#waiting.get(request.id);
      if (queue === undefined) this.#waiting.set(request.id, [{ resolve, reject }]);
      else queue.push({ resolve, reject });
      worker.ref();
      worker.postMessage(request);
    });
  }

  #start(): Worker {
    const worker = startWorker();
    worker.on('message', ({ id, digests }: ThreadResponse) => {
      const queue = this.#waiting.get(id);
      const waiting = queue?.shift();
      if (queue?.length === 0) this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
      waiting?.resolve(digests);
    });
    // When the thread ends, its hash states are lost: those uploads fail, and the next one starts another thread.
    worker.on('error', (error) => this.#fail(worker, error));
    worker.on('exit', () => this.#fail(worker, undefined));
    return worker;
  }

  #fail(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const error = ended(cause);
    for (const queue of this.#waiting.values()) for (const { reject } of queue) reject(error);
    this.#waiting.clear();
  }
}

function startWorker(): Worker {
  try {
    return new Worker(program, { eval: true, name: 'coffer-hash' });
  } catch (error) {
    throw toStorageError(error);
  }
}

function ended(cause?: unknown): Error {
  return storageError('internal_error', 'The thread that hashes uploads ended.', { cause });
}
