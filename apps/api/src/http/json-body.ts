import type { IncomingMessage } from 'node:http';

import { storageError } from '@coffer/storage-core';
import { assertPlainBody, contentLength, hasBody, payloadTooLarge, readBody, validationFailed } from '@coffer/storage-core/http';

export interface JsonLimits {
  /** Default 1 MiB. */
  readonly maxBytes?: number | undefined;
  /** Milliseconds within which the whole body must arrive. Default 30 s. */
  readonly timeoutMs?: number;
}

const jsonType = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const notJson = (): Error => storageError('unsupported_media_type', 'Send JSON, with "Content-Type: application/json".');

/**
 * Reads a JSON body, bounded in size and time. An empty body is `undefined`.
 * @throws unsupported_media_type, payload_too_large, validation_failed
 */
export async function readJson(incoming: IncomingMessage, { maxBytes = 1_048_576, timeoutMs = 30_000 }: JsonLimits = {}): Promise<unknown> {
  if (!hasBody(incoming)) return undefined;
  const type = incoming.headers['content-type'];
  const isJson = type !== undefined && jsonType.test(type);
  const length = contentLength(incoming);
  // For an HTTP/2 request that has no body, and does not say so in its head, a proxy sends an empty one in chunks.
  const mayBeEmpty = type === undefined && length === undefined;
  if (!isJson && !mayBeEmpty) throw notJson();
  assertPlainBody(incoming);
  if ((length ?? 0) > maxBytes) throw payloadTooLarge(maxBytes);
  const text = textOf(await readBody(incoming, maxBytes, timeoutMs));
  if (text.trim() === '') return undefined;
  if (!isJson) throw notJson();
  try {
    return parseJson(text);
  } catch (cause) {
    const message = cause instanceof SyntaxError ? cause.message : 'malformed';
    throw validationFailed([{ field: 'body', message: `not valid JSON (${message})` }]);
  }
}

/**
 * Like JSON.parse, but a whole number whose digits would change becomes infinite, which no schema and no metadata accepts: a 64-bit id,
 * for example, would become another one. A reviver could check each number, but takes a second per MiB of them.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return value;
  const marked = text.replaceAll(stringOrLongNumber, (token) => (isKept(token) ? token : '1e999'));
  return marked === text ? value : JSON.parse(marked);
}

// For valid JSON, where every string is terminated.
const stringOrLongNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]{15,}/g;

function isKept(token: string): boolean {
  const number = Number(token);
  return !Number.isFinite(number) || !/^-?\d+$/.test(token) || significant(token) === significant(number.toExponential());
}

/** Sign and digits of a number without trailing zeros, to compare a number with what would be sent back. */
function significant(number: string): string {
  const zeros = /(?<!0)0+$/; // starts at the first zero of a run, so that zeros within the number are scanned once
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
