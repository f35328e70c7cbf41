import { isDate } from 'node:util/types';

import { isContentType, storageError, tenantNameProblem as shapeOfName } from '@coffer/storage-core';
import type { FieldError } from '@coffer/storage-core';

// Names may be in any script, but without control characters: no header, log or terminal shows those safely, and PostgreSQL refuses some.
// oxlint-disable-next-line no-control-regex -- refusing control characters is the point
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/;
const longestMetadata = 16 * 1024;
const deepestMetadata = 32;

type FieldProblem = string | undefined;

/** @throws validation_failed with every field that has a problem, by its name on the wire */
export function assertFields(problems: Readonly<Record<string, FieldProblem>>): void {
  let errors: FieldError[] | undefined; // nearly all calls have none
  for (const field in problems) {
    const message = problems[field];
    if (message !== undefined) (errors ??= []).push({ field, message });
  }
  const first = errors?.[0];
  if (first !== undefined) throw storageError('validation_failed', `${first.field}: ${first.message}`, { errors: errors! });
}

function nameProblem(value: unknown, longest: number): FieldProblem {
  if (typeof value !== 'string') return 'Must be a string.';
  if (value === '' || value.length > longest) return `Must have 1 to ${longest} characters.`;
  if (controlCharacters.test(value)) return 'Must not contain control characters.';
  if (!value.isWellFormed()) return 'Must be valid Unicode.';
  return undefined;
}

export const filenameProblem = (value: unknown): FieldProblem => nameProblem(value, 1024);
export const ownerProblem = (value: unknown): FieldProblem => nameProblem(value, 255);
/** For a tenant's uuid and slug. */
export const tenantNameProblem = (value: unknown): FieldProblem =>
  typeof value === 'string' ? shapeOfName('It', value) : 'Must be a string.';

export function flagProblem(value: unknown): FieldProblem {
  return value === undefined || typeof value === 'boolean' ? undefined : 'Must be true or false.';
}

export function bytesProblem(value: unknown): FieldProblem {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : 'Must be a whole number of bytes.';
}

export function secondsProblem(value: unknown): FieldProblem {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) >= 1)
    ? undefined
    : 'Must be a whole number of seconds, at least 1.';
}

export function dispositionProblem(value: unknown): FieldProblem {
  return value === undefined || value === 'inline' || value === 'attachment' ? undefined : 'Must be inline or attachment.';
}

export function contentTypeProblem(value: unknown): FieldProblem {
  return typeof value === 'string' && isContentType(value) ? undefined : 'Must be a media type, such as image/png.';
}

export function checksumProblem(value: unknown, digits: number): FieldProblem {
  if (value === undefined || (typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value))) return undefined;
  return `Must be ${digits} lower-case hex digits.`;
}

export function limitProblem(value: unknown): FieldProblem {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1000
    ? undefined
    : 'Must be a whole number from 1 to 1,000.';
}

/** @throws invalid_argument for values that JSON would lose, which only a caller of the library can pass */
export function metadataProblem(metadata: unknown): FieldProblem {
  if (metadata === undefined) return undefined;
  const value = inJson(metadata, '');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'Must be a JSON object.';
  const problem = jsonProblem(value, deepestMetadata);
  if (problem !== undefined) return problem;
  const text = JSON.stringify(value);
  const isShort = Buffer.byteLength(text) <= longestMetadata && (!exponent.test(text) || lengthWrittenOut(value) <= longestMetadata);
  return isShort ? undefined : 'Must have at most 16 KiB of JSON, with its numbers written out.';
}

// jsonb keeps no exponents: lists of files return 309 digits for each 1e308.
const exponent = /\de[+-](\d+)/;

function lengthWrittenOut(value: object): number {
  const written = JSON.stringify(value, (_key, item: unknown) => {
    const digits = typeof item === 'number' ? exponent.exec(String(item))?.[1] : undefined;
    return digits === undefined ? item : '0'.repeat(Number(digits));
  });
  return Buffer.byteLength(written);
}

/**
 * What JSON.stringify() would write, such as the text of a date.
 * @param key passed to toJSON()
 * @throws invalid_argument for an object whose contents it would drop, and for an invalid date
 */
function inJson(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (isDate(value) && Number.isNaN(value.getTime())) throw storageError('invalid_argument', 'The metadata contains an invalid Date.');
  const hasToJson = 'toJSON' in value && typeof value.toJSON === 'function';
  const written = hasToJson ? (value as { toJSON(key: string): unknown }).toJSON(key) : value;
  if (typeof written !== 'object' || written === null || Array.isArray(written)) return written;
  const prototype: unknown = Object.getPrototypeOf(written);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return written; // a plain object, of any realm
  if (Object.keys(written).length > 0 && !(Symbol.iterator in written)) return written; // a class instance with fields of its own
  const { constructor } = written as { readonly constructor?: { readonly name: string } };
  const advice = 'make it a plain object or an array, as with Object.fromEntries(map) or [...set].';
  throw storageError(
    'invalid_argument',
    `The metadata contains an object of the class ${constructor?.name}, whose contents JSON would drop; ${advice}`,
  );
}

// jsonb holds neither U+0000 nor lone surrogates. Apart from undefined, what JSON.stringify() would drop counts as a mistake.
function jsonProblem(value: unknown, depth: number): FieldProblem {
  if (depth === 0) return `Must be nested at most ${deepestMetadata} levels deep.`;
  if (value === null || typeof value === 'boolean') return undefined;
  if (typeof value === 'number')
    return Number.isFinite(value)
      ? undefined
      : 'Must contain only numbers that are kept exactly: send one with more digits, or a larger one, as a string.';
  if (typeof value === 'string')
    return !value.isWellFormed() || value.includes('\u0000') ? 'Must be valid Unicode without U+0000.' : undefined;
  if (typeof value !== 'object') return 'Must contain only values that JSON has.';
  for (const [key, held] of Object.entries(value)) {
    if (key === '__proto__') return 'Must not have a key "__proto__".';
    const item = inJson(held, key);
    const problem = jsonProblem(key, depth) ?? (held === undefined ? undefined : jsonProblem(item, depth - 1));
    if (problem !== undefined) return problem;
  }
  return undefined;
}
