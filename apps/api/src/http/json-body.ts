import type { IncomingMessage } from 'node:http';

import { readAll, storageError } from '@coffer/storage-core';
import { assertPlainBody, contentLength, payloadTooLarge, requestBody, validationFailed } from '@coffer/storage-core/http';

const maxJsonBytes = 1_048_576;
const slowestMs = 30_000;

/**
 * Reads a JSON body, bounded in size and time. No body at all is `undefined`.
 * @param timeoutMs until when all of it is there
 * @throws unsupported_media_type, payload_too_large, validation_failed
 */
export async function readJson(incoming: IncomingMessage, timeoutMs = slowestMs): Promise<unknown> {
  const type = incoming.headers['content-type'];
  const length = contentLength(incoming);
  const empty = length === 0 || (length === undefined && incoming.headers['transfer-encoding'] === undefined);
  if (empty) return undefined;
  if (type === undefined || !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw storageError('unsupported_media_type', 'Send JSON, with "Content-Type: application/json".');
  }
  assertPlainBody(incoming);
  if (length !== undefined && length > maxJsonBytes) throw payloadTooLarge(maxJsonBytes);
  const text = textOf(await readBytes(incoming, timeoutMs));
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const message = cause instanceof SyntaxError ? cause.message : 'malformed';
    throw validationFailed([{ field: 'body', message: `not valid JSON (${message.slice(0, 120)})` }]);
  }
}

async function readBytes(incoming: IncomingMessage, timeoutMs: number): Promise<Buffer> {
  const body = requestBody(incoming, maxJsonBytes);
  const timer = setTimeout(() => body.destroy(storageError('validation_failed', 'The body did not arrive in time.')), timeoutMs);
  try {
    return await readAll(body);
  } finally {
    clearTimeout(timer);
  }
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw storageError('validation_failed', 'The body is not valid UTF-8.', { cause });
  }
}
