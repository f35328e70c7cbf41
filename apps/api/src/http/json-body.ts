import type { IncomingMessage } from 'node:http';

import { storageError } from '@coffer/storage-core';
import { assertPlainBody, contentLength, payloadTooLarge, readBody, validationFailed } from '@coffer/storage-core/http';

export interface JsonLimits {
  /** Default 1 MiB. */
  readonly maxBytes?: number | undefined;
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
 * As JSON.parse, but a whole number that would come back in other digits is infinite, which no schema and no metadata takes: one of
 * 64 bits, such as an id, would be another. JSON.parse can ask about each number, and takes a second for a MiB of them.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return value;
  const marked = text.replaceAll(stringOrLongNumber, (token) => (isKept(token) ? token : '1e999'));
  return marked === text ? value : JSON.parse(marked);
}

// Of valid JSON, where each string has an end.
const stringOrLongNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]{15,}/g;

function isKept(token: string): boolean {
  const number = Number(token);
  return !Number.isFinite(number) || !/^-?\d+$/.test(token) || significant(token) === significant(number.toExponential());
}

/** The digits of a number with its sign, but for zeros at its end: what it is written with when it is sent back. */
function significant(number: string): string {
  const zeros = /(?<!0)0+$/; // from the first of them: zeros within the number are gone through once
  return number.replace('.', '').replace(/e.*$/, '').replace(zeros, '');
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw storageError('validation_failed', 'The body is not valid UTF-8.', { cause });
  }
}
