import { storageError } from './errors.ts';

/** Maximum length of a key in bytes of UTF-8, as in S3. */
export const maxKeyBytes = 1024;

// C0 controls, DEL and C1 controls: no provider lists them faithfully in XML, and no terminal shows them safely.
// oxlint-disable-next-line no-control-regex -- refusing control characters is the point
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/;

/** Why `key` cannot name an object, or undefined if it can. The rules are the same on every backend. */
export function keyProblem(key: string): string | undefined {
  if (typeof key !== 'string') return 'A key must be a string.'; // plain JavaScript callers have no compiler
  if (key === '') return 'A key must have at least one character.';
  if (!key.isWellFormed()) return 'A key must be valid Unicode; this one has a lone surrogate.';
  // A key of n UTF-16 units has at most 3n bytes, so short keys need no count.
  if (key.length * 3 > maxKeyBytes && Buffer.byteLength(key) > maxKeyBytes) return `A key must have at most ${maxKeyBytes} bytes of UTF-8.`;
  if (controlCharacters.test(key)) return 'A key must not contain control characters.';
  if (key.startsWith('/')) return 'A key must not start with "/".';
  if (/(?:^|\/)\.{1,2}(?:\/|$)/.test(key)) return 'A key must not have "." or ".." segments.';
  return undefined;
}

/** @throws InvalidKeyError with the rule that `key` breaks. */
export function assertObjectKey(key: string): void {
  const problem = keyProblem(key);
  if (problem !== undefined) throw storageError('invalid_key', problem);
}

/**
 * Decodes a key from a raw request target, percent-decoding it once.
 * @throws InvalidKeyError for invalid percent-encoding or a key that breaks the rules.
 */
export function decodeKey(raw: string): string {
  let key: string;
  try {
    key = decodeURIComponent(raw);
  } catch (cause) {
    throw storageError('invalid_key', 'The key in the URL is not valid percent-encoded UTF-8.', { cause });
  }
  assertObjectKey(key);
  return key;
}

/** A key as a URL path: segments are percent-encoded, slashes are kept. */
export function encodeKey(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}

/** Orders keys by their UTF-8 bytes, as S3 lists them. JavaScript's own order differs above U+FFFF. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const xHigh = x >= 0xd800 && x <= 0xdfff;
    const yHigh = y >= 0xd800 && y <= 0xdfff;
    // A surrogate is half of a code point above U+FFFF, which sorts after every other unit.
    if (xHigh !== yHigh) return xHigh ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}
