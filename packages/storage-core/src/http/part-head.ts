import { storageError } from '../errors.ts';
import { validationFailed } from './problem.ts';

/** What the headers of a part declare. */
export interface PartHead {
  readonly name: string;
  /** Base name; undefined when the part has none, empty when it is empty, as in a form where no file was chosen. */
  readonly filename?: string;
  /** Media type with its parameters, as declared. */
  readonly contentType?: string;
  /** The declared charset of a field's value, if any. */
  readonly charset?: string;
}

/**
 * Decodes the value of a field from the charset that its part declares, else from UTF-8.
 * @throws validation_failed when the bytes are not valid text in that charset
 */
export function fieldText({ name, charset = 'utf-8' }: PartHead, value: Buffer): string {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw validationFailed([{ field: name, message: 'is not valid text in the charset that it declares (UTF-8 if it declares none)' }]);
  }
}

const maxHeaders = 32;
const maxNameBytes = 256;
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
// No two alternatives begin alike, which keeps hostile input linear.
const parameter = new RegExp(
  String.raw`[ \t]*;[ \t]*(?:(${token})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\[^])*)"[ \t]*|([^;"\s][^;"]*)?))?(?=;|$)`,
  'y',
);

/** A validation_failed error, for a form that cannot be read. */
export function malformedForm(message: string, cause?: unknown): Error {
  return storageError('validation_failed', message, { cause });
}

/** @throws validation_failed when the head does not name a part of a form */
export function parsePartHead(bytes: Buffer): PartHead {
  const headers = parseHeaders(bytes.toString('utf8'));
  const disposition = headers.get('content-disposition');
  const { value, parameters } = parseValue(disposition ?? '');
  const name = parameters.get('name');
  if (value.toLowerCase() !== 'form-data' || name === undefined || name === '') throw malformedForm('A part of the form has no name.');
  if (Buffer.byteLength(name) > maxNameBytes) throw malformedForm(`The name of a part is longer than ${maxNameBytes} bytes.`);
  const encoding = headers.get('content-transfer-encoding')?.toLowerCase() ?? 'binary';
  if (!['binary', '8bit', '7bit'].includes(encoding))
    throw malformedForm('A part of the form has a Content-Transfer-Encoding, which forms over HTTP do not use (RFC 7578).');
  const contentType = headers.get('content-type');
  const charset = contentType === undefined ? undefined : parseValue(contentType).parameters.get('charset');
  const filename = extended(parameters.get('filename*')) ?? parameters.get('filename');
  return {
    name,
    ...(filename !== undefined && { filename: baseName(filename) }),
    ...(contentType !== undefined && contentType !== '' && { contentType }),
    ...(charset !== undefined && { charset }),
  };
}

function parseHeaders(text: string): Map<string, string> {
  const headers = new Map<string, string>();
  if (text === '') return headers;
  const lines = text.replaceAll(/\r\n(?=[ \t])/g, '').split('\r\n'); // unfold folded lines
  if (lines.length > maxHeaders) throw malformedForm(`A part of the form has more than ${maxHeaders} headers.`);
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    if (colon < 1 || /[\s\0]/.test(name) || /[\r\n\0]/.test(line)) throw malformedForm('A part of the form has a malformed header.');
    if (headers.has(name)) throw malformedForm(`A part of the form has two headers "${name.slice(0, 64)}".`);
    headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
}

function parseValue(header: string): { readonly value: string; readonly parameters: ReadonlyMap<string, string> } {
  const semicolon = header.indexOf(';');
  const value = (semicolon === -1 ? header : header.slice(0, semicolon)).trim();
  const parameters = new Map<string, string>();
  parameter.lastIndex = value === header ? header.length : semicolon;
  while (parameter.lastIndex < header.length) {
    const match = parameter.exec(header);
    if (match === null) throw malformedForm('A part of the form has a malformed header.');
    const [, name, quoted, plain] = match;
    if (name !== undefined) parameters.set(name.toLowerCase(), quoted === undefined ? (plain ?? '').trim() : unquote(quoted));
  }
  return { value, parameters };
}

/**
 * Browsers percent-encode quotes and line breaks, and nothing else; curl and others use backslashes. Before any other character a backslash
 * is literal, as in Windows paths.
 * @see https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
 */
function unquote(text: string): string {
  return text.replaceAll(/\\(["\\])/g, '$1').replaceAll(/%(0A|0D|22)/gi, (escape) => decodeURIComponent(escape));
}

/** Decodes the RFC 8187 form, such as `UTF-8''na%C3%AFve.txt`; undefined for anything else. */
function extended(text = ''): string | undefined {
  const encoded = /^utf-8'[^']*'(.*)$/i.exec(text)?.[1];
  try {
    return encoded === undefined ? undefined : decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

/** The last segment of a path of either kind, empty if that is no name (`.`, `..`): browsers and tools send their own folders along. */
export function baseName(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  return name === '.' || name === '..' ? '' : name;
}
