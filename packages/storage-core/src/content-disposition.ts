import { storageError } from './errors.ts';

// Types that a browser shows without running any code in them. The HTML standard treats any `+xml` type as a document with scripts.
const inertType =
  /^(?:(?!image\/svg|.*\+xml$)(?:image|audio|video|font)\/[\w.+-]+|text\/plain|application\/(?:pdf|json|octet-stream|zip|gzip))$/;

/** Whether a browser that opens this type might run code in it. Unknown types count as runnable. */
export function runsInBrowser(contentType: string): boolean {
  const type = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  return !inertType.test(type);
}

/**
 * A Content-Disposition with a file name in any script, cut to 255 UTF-16 units. Where ASCII does not hold the name, it has an ASCII
 * fallback and the extended form.
 * @see RFC 6266 and RFC 8187
 */
export function contentDisposition(kind: 'inline' | 'attachment', filename?: string): string {
  if (filename === undefined || filename === '') return kind;
  const name = truncated(filename);
  const fallback = fallbackOf(name);
  if (fallback === name) return `${kind}; filename="${name}"`;
  const extended = encodeURIComponent(name.toWellFormed()).replaceAll(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `${kind}; filename="${fallback}"; filename*=UTF-8''${extended}`;
}

// Browsers decode percent signs in the plain form, and what looks like a word of RFC 2047, which begins with `=?`.
const fallbackOf = (filename: string): string => filename.replaceAll(/[^\u0020-\u007e]/gu, '_').replaceAll(/["\\%]|=\?/g, '_');

/**
 * Cuts a name to what file systems take and keeps its extension: curl saves nothing under a longer name. A character takes up to 9 bytes of
 * the header, and 15 of a presigned URL that asks for it; servers and proxies refuse heads of 8 KiB.
 */
function truncated(filename: string): string {
  const maxLength = 255;
  if (filename.length <= maxLength) return filename;
  const extension = /\.[^.]{1,16}$/.exec(filename)?.[0] ?? '';
  return filename.slice(0, maxLength - extension.length).replace(/[\ud800-\udbff]$/, '') + extension; // no half of a surrogate pair
}

/** @throws invalid_argument for a value that no header can hold */
export function assertContentDisposition(value: string): void {
  if (typeof value === 'string' && /^[\x20-\x7e]+$/.test(value)) return;
  throw storageError(
    'invalid_argument',
    'A Content-Disposition may contain only printable ASCII; see contentDisposition() for other file names.',
  );
}
