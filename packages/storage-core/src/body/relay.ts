import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import { isUint8Array } from 'node:util/types';

import { storageError } from '../errors.ts';
import { hasOwnedChunks } from './chunk-memory.ts';
import { listenersRemovedError, notBytesError, prematureCloseError } from './errors.ts';
import { fileBody, isDirectSource, readInto } from './file-body.ts';
import type { DirectSource } from './file-body.ts';
import { withDirectReads } from './file-stream.ts';

/** Relays, which belong to a backend alone already: one service may hand a body on to another. */
const relays = new WeakSet<Readable>();

/**
 * What a caller's stream yields, as a stream that belongs to the backend alone. The caller's may flow at any time, by itself or to others,
 * such as a progress bar or a hash: whatever it yielded before the backend began to read, or while only others listened, would be missing
 * from the stored object. Destroying either destroys both.
 */
export function relayOf(source: Readable): Readable {
  if (hasOwnedChunks(source) || relays.has(source)) return source; // nobody else listens
  const stream = withDirectReads(source);
  const relay = isDirectSource(stream) ? directRelay(stream) : new Relay(stream);
  relays.add(relay);
  return relay;
}

/**
 * Pulls: a stream does not flow while it has a `readable` listener, whoever else resumes it or pipes it elsewhere. As with a pipe, the
 * slowest destination sets the pace.
 */
class Relay extends Readable {
  readonly #source: Readable;
  readonly #encoding: BufferEncoding | null;
  #needsData = false;
  #isOver = false;

  constructor(source: Readable) {
    super();
    this.#source = source;
    this.#encoding = source.readableEncoding;
    source.on('readable', () => this.#pull());
    source.on('resume', () => this.#pull()); // a pipe destination resumed it
    // Includes what others read from it.
    const onData = (chunk: unknown): void => this.#forward(chunk);
    source.on('data', onData);
    const onEnd = (): void => {
      this.#isOver = true;
      this.push(null);
    };
    source.once('end', onEnd);
    onRemoval(source, [onData, onEnd], () => this.#onListenersRemoved());
    destroyWith(this, source);
  }

  override _read(): void {
    this.#needsData = true;
    this.#pull();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // A source that has been read to its end is left alone: a response may still be written to a socket.
    if (error !== null || !this.readableEnded) this.#source.destroy(error ?? undefined);
    callback(error);
  }

  /** What is read arrives in `#forward`, as it does when others read. */
  #pull(): void {
    while (this.#needsData && !hasBackpressure(this.#source) && this.#source.read() !== null);
  }

  /** Somebody has removed all listeners: whatever the source yields from then on would be missing. */
  #onListenersRemoved(): void {
    if (this.#isOver) return;
    this.#source.on('error', () => {}); // as before the removal
    this.destroy(listenersRemovedError());
  }

  #forward(chunk: unknown): void {
    if (!isUint8Array(chunk) && typeof chunk !== 'string') {
      this.destroy(notBytesError());
    } else if (this.#source.readableEncoding !== this.#encoding) {
      this.destroy(storageError('invalid_argument', 'The body stream was switched to text after its upload began.'));
    } else if (!this.push(chunk)) {
      this.#needsData = false;
    }
  }
}

/** Whether a pipe destination has as much as it takes for now. It would buffer anything else that is read, without bound. */
function hasBackpressure(source: Readable): boolean {
  const { _readableState: state } = source as { readonly _readableState?: { readonly awaitDrainWriters?: object | null } };
  const blocked = state?.awaitDrainWriters;
  if (blocked === undefined || blocked === null) return false;
  // One destination, or a set of several, which `instanceof Set` denies.
  return 'write' in blocked || (blocked as { readonly size: number }).size > 0;
}

/** For a source whose bytes can be read into the reader's memory: so can those of the relay. */
function directRelay(source: Readable & DirectSource): Readable {
  const relay = fileBody({
    read: async (target, offset, length) => ({ bytesRead: await source[readInto](target.subarray(offset, offset + length)) }),
  });
  const destroy = relay._destroy.bind(relay);
  const destroyBoth: typeof destroy = (error, callback) => {
    // When it has been read, its listeners have still to be told of the end.
    if (error !== null || !relay.readableEnded) source.destroy(error ?? undefined);
    destroy(error, callback);
  };
  relay._destroy = destroyBoth;
  source[readInto](Buffer.alloc(0)).catch(() => {}); // begin before anybody else reads it
  destroyWith(relay, source);
  return relay;
}

/** Calls `callback` soon after one of these listeners is removed, which includes a `once` listener that was called. */
export function onRemoval(source: NodeJS.ReadableStream, listeners: readonly unknown[], callback: () => void): void {
  source.on('removeListener', (_event: unknown, removed: { readonly listener?: unknown }) => {
    if (listeners.includes(removed.listener ?? removed)) queueMicrotask(callback); // for `once`, this may be the wrapper
  });
}

/** Destroys the relay when the source ends early. */
function destroyWith(relay: Readable, source: Readable): void {
  source.on('error', (error: Error) => relay.destroy(error));
  source.once('close', () => {
    if (!source.readableEnded) relay.destroy(source.errored ?? prematureCloseError());
  });
  if (source.errored !== null) relay.destroy(source.errored);
}
