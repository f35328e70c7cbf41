import { Transform, pipeline } from 'node:stream';
import type { Readable } from 'node:stream';

import { sizeMismatch, storageError } from '@coffer/storage-core';
import type { Body } from '@coffer/storage-core';

import { sampleBytes } from './sniff.ts';

/** A body of which the first bytes are known, and still to be read. */
export interface OpenedBody {
  readonly body: Body;
  readonly sample: Uint8Array;
}

/**
 * Waits for the first bytes of a body. One that ends within them becomes a buffer.
 * @throws what the stream fails with, the signal's reason, or invalid_argument for a body shorter than announced
 */
export async function openBody(body: Body, signal?: AbortSignal): Promise<OpenedBody> {
  if (body.kind === 'buffer') return { body, sample: body.data.subarray(0, sampleBytes) };
  const { stream, size } = body;
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
  const [first, second] = chunks;
  const data = first !== undefined && second === undefined ? first : Buffer.concat(chunks);
  const sample = data.subarray(0, sampleBytes);
  if (!stream.readableEnded) {
    stream.unshift(data); // in the same tick as the last read(), after which the stream would end
    return { body, sample };
  }
  if (size !== undefined && size !== length) throw sizeMismatch(length, size);
  return { body: { kind: 'buffer', data }, sample };
}

const changes = ['readable', 'end', 'error', 'close'] as const;

/** Resolves when there may be something new to read(). */
async function readable(stream: Readable, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  if (stream.errored) throw stream.errored;
  if (stream.destroyed) throw storageError('invalid_argument', 'The body ended before its time.');
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of changes) stream.off(event, done);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    for (const event of changes) stream.on(event, done);
    signal?.addEventListener('abort', done);
  });
}

/** The body, cut with an error when it passes `most` bytes. */
export function cutBody(body: Body, most: number, over: () => Error): Body {
  if (body.kind === 'buffer') {
    if (body.data.byteLength > most) throw over();
    return body;
  }
  const { stream } = body;
  let passed = stream.readableLength;
  if (passed > most) throw over();
  const push = stream.push.bind(stream);
  // `push` is the one door that every chunk of a Readable passes; a Transform would cost each chunk a detour.
  stream.push = (chunk: Uint8Array | string | null, encoding?: BufferEncoding): boolean => {
    if (chunk !== null && chunk !== undefined) passed += typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.byteLength;
    if (passed <= most) return push(chunk, encoding);
    stream.destroy(over());
    return false;
  };
  return body;
}

/**
 * The body, which asks for more of the quota as it grows, and waits for the answer.
 * @param more resolves to how many bytes are granted on top, 0 when nothing is left
 */
export function meterBody(body: Body, granted: number, more: () => Promise<number>): Body {
  if (body.kind === 'buffer') return cutBody(body, granted, overQuota);
  let passed = 0;
  let most = granted;
  const grow = async (done: (error?: Error) => void): Promise<void> => {
    try {
      while (passed > most) {
        const bytes = await more();
        if (bytes <= 0) throw overQuota();
        most += bytes;
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  };
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      passed += chunk.length;
      if (passed <= most) callback(null, chunk);
      else void grow((error) => (error === undefined ? callback(null, chunk) : callback(error)));
    },
  });
  pipeline(body.stream, meter, () => {}); // whoever reads the meter gets the error
  return { kind: 'stream', stream: meter };
}

export function overQuota(): Error {
  return storageError('quota_exceeded', "The file is larger than what is left of the tenant's quota.");
}
