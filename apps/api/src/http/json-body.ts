import type { IncomingMessage } from 'node:http';

import { storageError } from '@coffer/storage-core';
import { assertPlainBody, contentLength, payloadTooLarge, readBody, validationFailed } from '@coffer/storage-core/http';

export interface JsonLimits {
  /** Default 1 MiB. */
  readonly maxBytes?: number;
  /** Until when all of it is there. Default 30 s. */
  readonly timeoutMs?: number;
}

/**
 * Reads a JSON body, bounded in size and time. No body at all is `undefined`.
 * @throws unsupported_media_type, payload_too_large, validation_failed
 */
export async function readJson(incoming: IncomingMessage, { maxBytes = 1_048_576, timeoutMs = 30_000 }: JsonLimits = {}): Promise<unknown> {
  const type = incoming.headers['content-type'];
  const length = contentLength(incoming);
  const empty = length === 0 || (length === undefined && incoming.headers['transfer-encoding'] === undefined);
  if (empty) return undefined;
  if (type === undefined || !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw storageError('unsupported_media_type', 'Send JSON, with "Content-Type: application/json".');
  }
  assertPlainBody(incoming);
  if (length !== undefined && length > maxBytes) throw payloadTooLarge(maxBytes);
  const text = textOf(await readBody(incoming, maxBytes, timeoutMs));
  if (text.trim() === '') return undefined;
  try {
    return parseJson(text);
  } catch (cause) {
    const message = cause instanceof SyntaxError ? cause.message : 'malformed';
    throw validationFailed([{ field: 'body', message: `not valid JSON (${message.slice(0, 120)})` }]);
  }
}

/**
 * As JSON.parse, but a whole number that would be rounded is a bigint, which no schema and no metadata takes: a number of 64 bits,
 * such as an id, would come back as another one.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  return /\d{16}/.test(text) ? JSON.parse(text, exactly) : JSON.parse(text);
}

function exactly(_key: string, value: unknown, { source = '' }: { readonly source?: string } = {}): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isFinite(value) || !/^-?\d+$/.test(source)) return value;
  return significant(source) === significant(value.toExponential()) ? value : BigInt(source);
}

/** The digits of a number, but for zeros at its end: what it is written with when it is sent back. */
function significant(number: string): string {
  return number.replaceAll(/^-|\.|0*(?:e.*)?$/g, '');
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw storageError('validation_failed', 'The body is not valid UTF-8.', { cause });
  }
}
