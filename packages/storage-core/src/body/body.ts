import { Buffer } from 'node:buffer';
import { isErrored, isReadable, PassThrough, pipeline, Readable } from 'node:stream';
import { ReadableStream as NodeReadableStream } from 'node:stream/web'; // the global may be a browser's, or missing, as with jsdom
import { isAnyArrayBuffer, isUint8Array } from 'node:util/types';

import { onAbort } from '../abort-listeners.ts';
import { storageError } from '../errors.ts';
import type { Body } from '../object.ts';
import { withOwnedChunks } from './chunk-memory.ts';
import { alreadyClosedError, alreadyReadError, beingReadError, goneError, listenersRemovedError, notBytesError } from './errors.ts';
import { isMinipass, minipassBody } from './minipass-body.ts';
import { onRemoval, relayOf } from './relay.ts';
import { takeWholeBody } from './whole-body.ts';

/**
 * Any body that a caller may hold. Strings are sent as UTF-8. A stream is destroyed when the call fails, which would end the connection of
 * a node:http request: pass `requestBody(request)` of `@coffer/storage-core/http`. A stream that is also piped elsewhere is read at the
 * pace of the slowest destination, so no upload ends while that one takes nothing. Minipass streams flow at the pace of the fastest: what
 * the upload has not taken yet is held in memory. An async iterable may fill the same memory again for its next chunk, once that is asked
 * for; the chunks of every stream must stay as they are. So must bytes until the call ends: they are not copied, and refused if their memory
 * is transferred or shrunk meanwhile. That of WebAssembly is transferred whenever it grows.
 */
export type BodyInput =
  | string
  | ArrayBuffer
  | Uint8Array
  | Blob
  | NodeJS.ReadableStream
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>;

/**
 * Converts a body once, on entry; everything below works on buffers and Node streams of bytes. A stream may fail at any time from here on.
 * Its reader gets the error; an error before anybody reads does not end the process.
 * @param size exact size in bytes of a stream, if known
 * @throws invalid_argument, after destroying a stream
 */
export function bodyOf(input: BodyInput, size?: number): Body {
  if (typeof input === 'string') return bufferBody(Buffer.from(input), size);
  if (ArrayBuffer.isView(input)) return bufferBody(bytesIn(input), size);
  if (isAnyArrayBuffer(input)) return bufferBody(allBytesIn(input), size);
  if (input instanceof Readable) {
    assertUnread(input);
    return streamBody(relayOf(input), size);
  }
  if (isForeignStream(input)) return streamBody(relayOf(foreignStream(input)), size);
  if (isBlob(input)) return bodyOf(input.stream(), size ?? blobSize(input));
  if (input instanceof NodeReadableStream) return streamBody(webStream(input), size);
  if (typeof input === 'object' && input !== null && Symbol.asyncIterator in input) return streamBody(iterableStream(input), size);
  throw storageError('invalid_argument', 'A body must be a string, bytes, a Blob, a stream or an async iterable of bytes.');
}

function bytesIn(view: ArrayBufferView): Uint8Array {
  assertThere(view);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function allBytesIn(buffer: ArrayBufferLike): Uint8Array {
  if ('detached' in buffer && buffer.detached) throw goneError();
  return new Uint8Array(buffer, 0, buffer.byteLength); // without a length, it would grow with its memory
}

/** Refuses a view that only looks empty: its memory was transferred elsewhere, or shrunk to less. */
function assertThere(view: ArrayBufferView): void {
  try {
    if (view.byteLength === 0) (view as Partial<Uint8Array>).at?.(0); // throws then, and of a DataView even the length
  } catch {
    throw goneError();
  }
}

/** Duck-typed: packages (for forms, say) and test environments bring their own Blob classes. */
function isBlob(input: unknown): input is Blob {
  if (typeof input !== 'object' || input === null) return false;
  const { [Symbol.toStringTag]: tag, stream: open } = input as { readonly [Symbol.toStringTag]?: unknown; readonly stream?: unknown };
  return (tag === 'Blob' || tag === 'File') && typeof open === 'function';
}

/** Bun also has Blobs of pipes and remote objects, of infinite size. */
function blobSize({ size }: Blob): number | undefined {
  return Number.isFinite(size) ? size : undefined;
}

function bufferBody(data: Uint8Array, size: number | undefined): Body {
  if (size !== undefined && size !== data.byteLength) throw sizeMismatch(data.byteLength, size);
  return { kind: 'buffer', data };
}

function streamBody(readable: Readable, size: number | undefined): Body {
  readable.on('error', () => {}); // see bodyOf: readers check the stream itself
  if (size === undefined) return { kind: 'stream', stream: readable };
  if (Number.isSafeInteger(size) && size >= 0) return { kind: 'stream', stream: readable, size };
  readable.destroy();
  throw storageError('invalid_argument', 'The size of a body must be a whole number of bytes.');
}

function assertUnread(readable: Readable): void {
  if (readable.readableEnded) throw alreadyReadError();
  // A stream that failed gives its own error to the reader.
  if (readable.destroyed && readable.errored === null) throw alreadyClosedError();
}

/**
 * Whether `input` is a readable stream of a copy of node:stream: many packages bring `readable-stream`, of any age. Some of these are not
 * iterable, and with none does an iterator hear of errors before it is first asked. Other iterables know best how they are read, such as
 * minipass streams, which end without an event. Write-only streams have `pipe` as well, and would end at once.
 */
export function isForeignStream(input: unknown): input is NodeJS.ReadableStream {
  if (typeof input !== 'object' || input === null || input instanceof Readable) return false;
  const { pipe, on, readable, _readableState: state } = input as Record<'pipe' | 'on' | 'readable' | '_readableState', unknown>;
  if (typeof pipe !== 'function' || typeof on !== 'function') return false;
  return state !== undefined || (typeof readable === 'boolean' && !(Symbol.asyncIterator in input));
}

function foreignStream(source: NodeJS.ReadableStream): Readable {
  source.on('error', () => {}); // a stream that has just failed emits its error only now
  const { errored } = source as { readonly errored?: unknown }; // readable-stream 3 does not keep its error, and emits it once
  if (isReadable(source) === false && !errored) throw storageError('invalid_argument', 'The body stream has been read or closed already.');
  const relay = pipeline(source, new PassThrough({ objectMode: true }), () => {}); // its reader gets the error
  let isOver = false;
  const end = (): void => {
    isOver = true;
    // readable-stream 2 emits `end` when it is destroyed.
    if ('destroyed' in source && source.destroyed === true)
      relay.destroy(storageError('invalid_argument', 'The body stream was closed before its end.'));
  };
  source.once('end', end);
  // Nothing more would arrive.
  onRemoval(source, [end], () => {
    if (isOver) return;
    source.on('error', () => {}); // as before the removal
    relay.destroy(listenersRemovedError());
  });
  return relay;
}

function webStream(input: ReadableStream<Uint8Array>): Readable {
  if (input.locked) throw beingReadError();
  const stream = input as NodeReadableStream;
  if (Readable.isDisturbed(stream) && !isReadable(stream) && !isErrored(stream)) throw alreadyReadError();
  const reader = (isReadable(stream) === null && isBegun(input) ? restOf(stream) : stream).getReader();
  const body = iteratorStream({ next: () => reader.read(), return: (reason) => reader.cancel(reason) });
  reader.closed.catch((error: unknown) => body.destroy(error as Error)); // even while nobody reads
  return body;
}

/** For Deno, whose node:stream knows nothing of web streams: fetch tells whether anything of the stream has been read. */
function isBegun(stream: ReadableStream): boolean {
  try {
    return new Response(stream).bodyUsed;
  } catch {
    return true;
  }
}

/** What is left of a stream. Fails if nothing is. */
function restOf(stream: NodeReadableStream): NodeReadableStream {
  let isEmpty = true;
  return stream.pipeThrough(
    new TransformStream<unknown, unknown>({
      transform(chunk, controller) {
        isEmpty = false;
        controller.enqueue(chunk);
      },
      flush() {
        if (isEmpty) throw alreadyReadError();
      },
    }) as never,
  );
}

/** Iterators that have been bodies: a generator among them may be exhausted without saying so. */
const iterated = new WeakSet<object>();

function wasBodyBefore(source: object): boolean {
  const wasBefore = iterated.has(source);
  iterated.add(source);
  return wasBefore;
}

/** Copies each chunk: the source may refill the same memory for the next chunk before this one is read. */
function iterableStream(source: AsyncIterable<unknown>): Readable {
  if (isCustomStream(source)) return customStream(source);
  const iterator = source[Symbol.asyncIterator]();
  return withOwnedChunks(iteratorStream(iterator, { mayBeOver: wasBodyBefore(iterator), isCopied: true }));
}

function customStream(source: CustomStream): Readable {
  // Such a source gives its data to a listener at once: it would be missing here.
  if (source.flowing === true) throw beingReadError();
  const mayBeOver = wasBodyBefore(source);
  const body = withOwnedChunks(
    isMinipass(source)
      ? minipassBody(source, mayBeOver ? alreadyReadError() : undefined)
      : iteratorStream(source[Symbol.asyncIterator](), { mayBeOver, isCopied: true }),
  );
  // It also emits errors at once: without a listener, an error while no chunk is requested would end the process.
  source.on('error', (error: Error) => body.destroy(error));
  body.once('close', () => {
    if (!body.readableEnded) source.destroy?.();
  });
  if (source.destroyed === true) body.destroy(alreadyClosedError()); // it emits nothing any more
  return body;
}

/** A stream that is not of node:stream's kind and yet is read only once, such as a minipass stream. */
interface CustomStream extends AsyncIterable<unknown> {
  readonly flowing?: unknown;
  readonly destroyed?: unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  destroy?(): unknown;
}

export function isCustomStream(input: object): input is CustomStream {
  const { pipe, on } = input as Record<'pipe' | 'on', unknown>;
  return typeof pipe === 'function' && typeof on === 'function' && Symbol.asyncIterator in input;
}

/** How a source is read and closed. */
interface ChunkSource {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  return?(reason?: unknown): Promise<unknown>;
}

/** Like `Readable.from`, but for bytes only, and closing it does not wait for a source that hangs. */
function iteratorStream(chunks: ChunkSource, { mayBeOver = false, isCopied = false } = {}): Readable {
  let isFirst = true;
  return new Readable({
    read() {
      const take = ({ done, value }: Awaited<ReturnType<ChunkSource['next']>>): void => {
        const isExhausted = done === true && isFirst && mayBeOver;
        isFirst = false;
        if (isExhausted) throw alreadyReadError();
        if (done === true) this.push(null);
        else if (isUint8Array(value)) {
          assertThere(value);
          this.push(isCopied ? Buffer.from(value) : value);
        } else if (typeof value === 'string') this.push(value);
        else throw notBytesError();
      };
      Promise.resolve(chunks.next())
        .then(take)
        .catch((error: unknown) => this.destroy(error as Error));
    },
    destroy(error, callback) {
      void close(chunks, error);
      callback(error);
    },
  });
}

async function close(chunks: ChunkSource, reason: Error | null): Promise<void> {
  try {
    await chunks.return?.(reason ?? undefined);
  } catch {
    // Nobody is interested in how the source was closed.
  }
}

/** The error for a body that is shorter or longer than announced. */
export function sizeMismatch(actual: number, announced: number): Error {
  const got = actual > announced ? `more than ${announced}` : String(actual);
  return storageError('invalid_argument', `The body has ${got} bytes, but ${announced} were announced.`);
}

/** Reads an open body to its end, into memory. For small objects and tests. */
export async function readAll(body: Readable): Promise<Buffer> {
  const whole = takeWholeBody(body);
  if (whole !== undefined) return whole;
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/** Gives up a body, whatever state it is in. */
export function discard(body: Body, reason?: Error): void {
  if (body.kind !== 'stream') return;
  body.stream.on('error', () => {}); // nobody listens any more
  body.stream.destroy(reason);
}

/**
 * Destroys `stream` with the signal's reason once the signal is aborted. The stream's reader gets the reason; without a reader, the process
 * does not end.
 */
export function destroyOnAbort(stream: Readable, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const abort = (): void => {
    stream.destroy(signal.reason as Error);
  };
  stream.on('error', () => {});
  if (signal.aborted) return abort();
  stream.once('close', onAbort(signal, abort));
}
