import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

import { storageError } from '@coffer/storage-core';

/** The announced length of a body in bytes; undefined when it comes in chunks of unknown number. */
export function contentLength(incoming: IncomingMessage): number | undefined {
  const header = incoming.headers['content-length'];
  return header === undefined ? undefined : Number(header);
}

export function payloadTooLarge(limit: number): Error {
  return storageError('payload_too_large', `The body is larger than the ${limit} bytes that are accepted here.`);
}

/**
 * Cuts a stream with `payload_too_large` once it has yielded more than `limit` bytes. `push` is the one door that
 * every chunk of a Readable passes, so nothing is copied.
 */
export function cutAfter(stream: Readable, limit: number): void {
  const push = stream.push.bind(stream);
  let seen = stream.readableLength;
  stream.push = (chunk: Uint8Array | null, encoding?: BufferEncoding): boolean => {
    if (chunk !== null) seen += chunk.byteLength;
    if (seen <= limit) return push(chunk, encoding);
    stream.destroy(payloadTooLarge(limit));
    return false;
  };
}
