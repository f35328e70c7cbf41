import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

import { releaseChunk, withOwnedChunks } from '../body/chunk-memory.ts';
import { alreadyReadError } from '../body/errors.ts';
import { storageError } from '../errors.ts';
import { validationFailed } from './problem.ts';

/** The announced length of a body in bytes; undefined when it is chunked. */
export function contentLength(incoming: IncomingMessage): number | undefined {
  const header = incoming.headers['content-length'];
  return header === undefined ? undefined : Number(header);
}

export function hasBody(incoming: IncomingMessage): boolean {
  return incoming.headers['transfer-encoding'] !== undefined || (contentLength(incoming) ?? 0) > 0;
}

/** A payload_too_large error, for more than `limit` bytes. */
export function payloadTooLarge(limit: number): Error {
  return storageError('payload_too_large', `The body is larger than the ${limit} bytes that are accepted here.`);
}

/**
 * Bytes are stored as they are: a compressed body, or a part of one, would be stored as something it is not.
 * @throws unsupported_media_type, validation_failed
 */
export function assertPlainBody({ headers }: IncomingMessage): void {
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (coding !== '' && coding !== 'identity')
    throw storageError('unsupported_media_type', 'A body with a Content-Encoding is not accepted; send the bytes unencoded.');
  // Node decodes `chunked` and nothing else.
  if ((headers['transfer-encoding'] ?? 'chunked').toLowerCase() !== 'chunked')
    throw storageError('unsupported_media_type', 'A body with a Transfer-Encoding other than chunked is not accepted.');
  if (headers['content-range'] !== undefined)
    throw validationFailed([{ field: 'Content-Range', message: 'parts of an object cannot be written' }]);
}

/**
 * The body of a request as a stream of its own. Destroying it, as a refused upload does, leaves the connection up, so that the refusal can
 * still be sent. The reader owns its chunks. It fails with payload_too_large after `limit` bytes, with invalid_argument if somebody, such
 * as a framework's parser, has already read the body, and when the client leaves before the end.
 */
export function requestBody(incoming: IncomingMessage, limit: number = Infinity): Readable {
  let received = 0;
  const body = withOwnedChunks(
    new Readable({
      highWaterMark: 262_144,
      read: () => void incoming.resume(),
      destroy: (error, done) => {
        incoming.off('data', onData);
        incoming.off('end', onEnd);
        incoming.off('close', onClose);
        if (!incoming.readableEnded) incoming.pause();
        done(error);
      },
    }),
  );
  const onData = (chunk: Buffer): void => {
    received += chunk.byteLength;
    if (received > limit) body.destroy(payloadTooLarge(limit));
    else if (!body.push(chunk)) incoming.pause();
  };
  const onEnd = (): void => void body.push(null);
  const onClose = (): void => {
    if (!incoming.readableEnded) body.destroy(clientGoneError());
  };
  body.on('error', () => {}); // also while nobody reads yet
  incoming.on('error', () => {});
  if (incoming.readableEnded) return body.destroy(alreadyReadError());
  if (incoming.destroyed) {
    onClose();
    return body;
  }
  incoming.on('data', onData);
  incoming.once('end', onEnd);
  incoming.once('close', onClose);
  incoming.pause();
  return body;
}

/**
 * Size in bytes up to which a body is best read whole: that is cheaper than a stream, and its length is known before anything is stored.
 */
export const smallBodyBytes = 65_536;

/**
 * Reads the whole body of a request that is known to be small, without making a stream. Fails as `requestBody` does, and with
 * validation_failed when the body has not arrived within `timeoutMs`.
 */
export function readBody(incoming: IncomingMessage, limit: number, timeoutMs?: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const detach = (): void => {
      isOver = true;
      clearTimeout(timer);
      incoming.off('data', onData);
      incoming.off('end', onEnd);
      incoming.off('close', onClose);
    };
    const fail = (error: Error): void => {
      detach();
      if (!incoming.readableEnded) incoming.pause();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      received += chunk.byteLength;
      if (received > limit) fail(payloadTooLarge(limit));
      else chunks.push(chunk);
    };
    const onEnd = (): void => {
      detach();
      if (chunks.length === 1) return resolve(chunks[0]!);
      const body = Buffer.concat(chunks);
      for (const chunk of chunks) releaseChunk(chunk);
      resolve(body);
    };
    const onClose = (): void => fail(clientGoneError());
    const onTimeout = (): void => fail(storageError('validation_failed', 'The body did not arrive in time.'));
    // Most bodies arrive together with their heads and are read in this very turn.
    const startTimer = (milliseconds: number): void => {
      if (!isOver && !incoming.complete) timer = setTimeout(onTimeout, milliseconds);
    };
    if (timeoutMs !== undefined) process.nextTick(startTimer, timeoutMs);
    incoming.on('error', () => {});
    if (incoming.readableEnded) return fail(alreadyReadError());
    if (incoming.destroyed) return onClose();
    incoming.on('data', onData);
    incoming.once('end', onEnd);
    incoming.once('close', onClose);
    incoming.resume();
  });
}

function clientGoneError(): Error {
  return new Error('The client went away before the body was whole.');
}
