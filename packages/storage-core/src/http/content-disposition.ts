import { storageError } from '../errors.ts';

// Types that a browser shows without running anything of them. Whatever ends in `+xml` is a document with scripts to the HTML standard.
const inert =
  /^(?:(?!image\/svg|.*\+xml$)(?:image|audio|video|font)\/[\w.+-]+|text\/plain|application\/(?:pdf|json|octet-stream|zip|gzip))$/;

/** Whether a browser that opens this type might run code in it. Unknown types count as running. */
export function runsInBrowser(contentType: string): boolean {
  const type = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  return !inert.test(type);
}

/**
 * A Content-Disposition with a file name in any script: an ASCII fallback and the extended form.
 * @see RFC 6266 and RFC 8187
 */
export function contentDisposition(kind: 'inline' | 'attachment', filename?: string): string {
  if (filename === undefined || filename === '') return kind;
  const ascii = filename.replaceAll(/[^\u0020-\u007e]/gu, '_').replaceAll(/["\\%]/g, '_');
  const plain = `${kind}; filename="${ascii}"`;
  if (ascii === filename) return plain;
  const extended = encodeURIComponent(filename.toWellFormed()).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${plain}; filename*=UTF-8''${extended}`;
}

/** @throws invalid_argument for what no header can hold */
export function assertContentDisposition(value: string): void {
  if (/^[\x20-\x7e]+$/.test(value)) return;
  throw storageError('invalid_argument', 'A Content-Disposition has only printable ASCII; see contentDisposition() for other file names.');
}
