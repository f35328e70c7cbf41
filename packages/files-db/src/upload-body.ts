import { pipeline, Transform } from 'node:stream';
import type { Readable } from 'node:stream';

import {
  fileBody,
  hasOwnedChunks,
  isDirectSource,
  onAbort,
  readInto,
  sizeMismatch,
  storageError,
  withOwnedChunks,
} from '@coffer/storage-core';
import type { Body, DirectSource } from '@coffer/storage-core';

import { runUntilAborted } from './call-context.ts';
import { sampleBytes } from './sniff.ts';

const highWaterMark = 262_144;

/** Size of the first read from a source that reads into the caller's memory: a small file arrives whole. */
const headBytes = 64 * 1024;

/** A body with a sample of its first bytes, which are still to be read from it: the sample is valid until then. */
interface OpenedBody {
  readonly body: Body;
  readonly sample: Uint8Array;
}

/**
 * Waits for the first bytes of a body. A body that ends within them, or has arrived whole by then, becomes a buffer.
 * @throws the stream's error, the signal's reason, or invalid_argument for a body of another size than announced
 */
export async function openBody(body: Body, signal?: AbortSignal): Promise<OpenedBody> {
  if (body.kind === 'buffer') return { body, sample: sampleOf(body.data) };
  if (isDirectSource(body.stream)) return openDirectly(body.stream, body.size, signal);
  const { size, stream } = body;
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < sampleBytes && !stream.readableEnded) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) {
      await readable(stream, signal);
    } else {
      chunks.push(chunk);
      length += chunk.length;
    }
  }
  if (!stream.readableEnded && stream.readableLength === 0) await endIfOver(stream);
  const [first, second] = chunks;
  const data = first !== undefined && second === undefined ? first : Buffer.concat(chunks);
  if (!stream.readableEnded) {
    stream.unshift(data); // in the same tick as the last read(), after which the stream would end
    return { body, sample: data.subarray(0, sampleBytes) };
  }
  if (size !== undefined && size !== length) throw sizeMismatch(length, size);
  return { body: { kind: 'buffer', data }, sample: data.subarray(0, sampleBytes) };
}

/** The same for a source that reads into the caller's memory; so does the result. Whoever closes `source` closes what is left of it. */
async function openDirectly(source: DirectSource, size: number | undefined, signal: AbortSignal | undefined): Promise<OpenedBody> {
  const head = Buffer.allocUnsafe(headBytes);
  let length = 0;
  while (length < sampleBytes) {
    const bytes = await runUntilAborted(() => source[readInto](head.subarray(length)), { signal });
    if (bytes === 0) {
      if (size !== undefined && size !== length) throw sizeMismatch(length, size);
      const data = head.subarray(0, length);
      return { body: { kind: 'buffer', data }, sample: data };
    }
    length += bytes;
  }
  let left = head.subarray(0, length);
  const stream = readBy(async (target) => {
    if (left.length === 0) return source[readInto](target);
    const bytes = left.copy(target);
    left = left.subarray(bytes);
    return bytes;
  });
  return { body: { kind: 'stream', stream, ...(size !== undefined && { size }) }, sample: head.subarray(0, Math.min(length, sampleBytes)) };
}

/** A copy: the caller's memory may go away while it is looked at. It may be gone already, which the upload itself refuses. */
function sampleOf(data: Uint8Array): Uint8Array {
  return data.byteLength === 0 ? Buffer.of() : Buffer.from(data.subarray(0, sampleBytes));
}

function readBy(read: (target: Uint8Array) => Promise<number>): Readable & DirectSource {
  const body = fileBody({ read: async (target, offset, length) => ({ bytesRead: await read(target.subarray(offset, offset + length)) }) });
  return body.on('error', () => {}); // as with any body: readers ask the stream itself
}

/** A stream whose data has all been read ends only when it is read once more, and then in the next tick. */
async function endIfOver(stream: Readable): Promise<void> {
  stream.read(0);
  await new Promise<void>((resolve) => process.nextTick(resolve));
}

const changes = ['readable', 'end', 'error', 'close'] as const;

/** Resolves when there may be something new to read(). */
async function readable(stream: Readable, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  if (stream.errored) throw stream.errored;
  if (stream.destroyed) throw storageError('invalid_argument', 'The body ended too early.');
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of changes) stream.off(event, done);
      stopWaiting();
      resolve();
    };
    for (const event of changes) stream.on(event, done);
    const stopWaiting = onAbort(signal, done);
  });
}

/**
 * Makes a body reserve more of the quota as it grows, and wait for the answer.
 * @param more gets the number of bytes so far and resolves to the number granted on top, at least 1, or rejects; its signal aborts when
 * nobody reads the body any more
 */
export function meterBody(stream: Readable, granted: number, more: (passed: number, signal: AbortSignal) => Promise<number>): Body {
  const closed = new AbortController();
  let passed = 0;
  let allowed = granted;
  const pass = (bytes: number): Promise<void> | undefined => {
    passed += bytes;
    return passed <= allowed ? undefined : grow();
  };
  const grow = async (): Promise<void> => {
    while (passed > allowed) allowed += await more(passed, closed.signal);
  };
  return {
    kind: 'stream',
    stream: (isDirectSource(stream) ? meterReads(stream, pass) : meterChunks(stream, pass)).once('close', () => closed.abort()),
  };
}

/** Resolves once the bytes may pass; undefined when they may pass at once. */
type Pass = (bytes: number) => Promise<void> | undefined;

function meterReads(source: Readable & DirectSource, pass: Pass): Readable {
  return readBy(async (target) => {
    const bytes = await source[readInto](target);
    await pass(bytes);
    return bytes;
  });
}

function meterChunks(stream: Readable, pass: Pass): Readable {
  const meter = new Transform({
    highWaterMark,
    transform(chunk: Buffer, _encoding, callback) {
      const passing = pass(chunk.length);
      if (passing === undefined) callback(null, chunk);
      else passing.then(() => callback(null, chunk), callback);
    },
  });
  pipeline(stream, meter, () => {}); // whoever reads the meter gets the error
  return hasOwnedChunks(stream) ? withOwnedChunks(meter) : meter;
}
