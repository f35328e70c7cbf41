import { ForeignAnswerError } from './foreign-answer.ts';

const longestHead = 64 * 1024;
const start = 'HTTP/1.';
const statusLine = /^HTTP\/1\.[01] [1-5]\d\d(?: |\r\n)/;
/** Sequences that some parsers take for the end of a line. */
const looseEnd = /\r[^\n]|[^\r]\n|\0/;
const none: readonly Buffer[] = [];

export interface AnswerHead {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

/** How the end of a body is recognized. */
type Body =
  /** After this many bytes. */
  | { readonly kind: 'sized'; left: number }
  /** In chunks, each after a line with its size; `left` is what remains of the current one. */
  | { readonly kind: 'chunked'; left: number; line: string; at: 'size' | 'data' | 'data end' | 'trailer' | 'end' }
  /** With the connection. */
  | { readonly kind: 'rest' };

/** Parses one HTTP/1 answer from chunks that are cut anywhere. It is meant for servers that frame well: anything odd is an error. */
export class RawAnswer {
  #pending = '';
  #head: AnswerHead | undefined;
  #body: Body = { kind: 'sized', left: 0 };
  #keepsAlive = false;
  readonly #isHead: boolean;

  /** @param options.isHead the request was a HEAD: no body follows, whatever the head says */
  constructor({ isHead = false }: { readonly isHead?: boolean } = {}) {
    this.#isHead = isHead;
  }

  /** Undefined until it has arrived. */
  get head(): AnswerHead | undefined {
    return this.#head;
  }

  /** Once there is a head, the bytes of the body still to come; undefined if the head does not say. */
  get left(): number | undefined {
    return this.#body.kind === 'sized' ? this.#body.left : undefined;
  }

  get isComplete(): boolean {
    const body = this.#body;
    if (this.#head === undefined || body.kind === 'rest') return false;
    return body.kind === 'sized' ? body.left === 0 : body.at === 'end';
  }

  /** Whether the answer ends with the connection. */
  get endsWithConnection(): boolean {
    return this.#body.kind === 'rest';
  }

  /** Whether another request may follow on the connection. */
  get keepsAlive(): boolean {
    return this.#keepsAlive && this.#body.kind !== 'rest';
  }

  /**
   * @returns the parts of the chunk that belong to the body; they share its memory
   * @throws if this is no valid answer, and for bytes that follow it
   */
  read(chunk: Buffer): readonly Buffer[] {
    let rest = chunk;
    while (this.#head === undefined) {
      const after = this.#readHead(rest);
      if (after === undefined) return none;
      rest = after;
    }
    if (rest.length === 0) return none;
    const body = this.#body;
    if (body.kind === 'rest') return [rest];
    if (body.kind === 'chunked') return readChunks(body, rest);
    if (rest.length > body.left) throw malformed('bytes after the end of an answer');
    body.left -= rest.length;
    return [rest];
  }

  /** @returns what follows the head; undefined until its end has arrived */
  #readHead(chunk: Buffer): Buffer | undefined {
    const before = this.#pending.length;
    // If a chunk holds the head and more, decode only the head: headers are slices of the string, which lives as long as any of them.
    const whole = before === 0 ? chunk.indexOf('\r\n\r\n') : -1;
    if (whole > longestHead) throw malformed('a head without end');
    this.#pending += chunk.toString('latin1', 0, whole < 0 ? Math.min(chunk.length, longestHead) : whole + 4);
    if (!this.#pending.startsWith(start.slice(0, this.#pending.length))) throw malformed('no HTTP');
    const end = this.#pending.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if (end < 0) {
      if (this.#pending.length >= longestHead) throw malformed('a head without end');
      return undefined;
    }
    const head = this.#pending.slice(0, end + 4);
    this.#pending = '';
    if (looseEnd.test(head)) throw malformed('a line that ends oddly');
    if (!statusLine.test(head)) throw malformed('no status');
    const status = Number(head.slice(9, 12));
    if (status === 101) throw new ForeignAnswerError('The answer, 101, is another protocol.');
    // Interim answers such as 100.
    if (status < 200) return chunk.subarray(end + 4 - before);
    const headers = headersOf(head, end);
    const isHttp10 = head[7] === '0';
    const { connection } = headers;
    this.#keepsAlive =
      connection === undefined ? !isHttp10 : !/\bclose\b/i.test(connection) && (!isHttp10 || /\bkeep-alive\b/i.test(connection));
    this.#body = this.#isHead ? { kind: 'sized', left: 0 } : framingOf(status, headers);
    this.#head = { status, headers };
    return chunk.subarray(end + 4 - before);
  }
}

/**
 * Headers that occur once in an answer: if repeated, the first one counts, as with node:http. Framing headers are not among them, because
 * they must be unambiguous.
 */
const singletonHeaders: ReadonlySet<string> = new Set([
  'age',
  'content-type',
  'date',
  'etag',
  'expires',
  'last-modified',
  'location',
  'retry-after',
]);

/** Parses a head that ends at `end`. It creates no string for each line: every answer has some fifteen. */
function headersOf(head: string, end: number): AnswerHead['headers'] {
  const headers: Record<string, string> = {};
  let next = head.indexOf('\r\n') + 2;
  while (next < end) {
    const start = next;
    const stop = head.indexOf('\r\n', start);
    next = stop + 2;
    const colon = head.indexOf(':', start);
    if (colon <= start || colon > stop || isSpace(head, start) || isSpace(head, colon - 1)) throw malformed('a header that is none');
    let from = colon + 1;
    let to = stop;
    while (from < to && isSpace(head, from)) from++;
    while (from < to && isSpace(head, to - 1)) to--;
    const name = head.slice(start, colon).toLowerCase();
    const value = head.slice(from, to);
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else if (!singletonHeaders.has(name)) headers[name] = `${known}, ${value}`;
  }
  return headers;
}

function framingOf(status: number, headers: AnswerHead['headers']): Body {
  if (status === 204 || status === 304) return { kind: 'sized', left: 0 };
  const { 'transfer-encoding': coding, 'content-length': length } = headers;
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked' || length !== undefined) throw malformed('a framing that nobody knows');
    return { kind: 'chunked', left: 0, line: '', at: 'size' };
  }
  if (length === undefined) return { kind: 'rest' };
  if (!/^\d{1,16}$/.test(length)) throw malformed('a length that is no number');
  return { kind: 'sized', left: Number(length) };
}

function readChunks(body: Extract<Body, { kind: 'chunked' }>, bytes: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (body.at === 'end') throw malformed('bytes after the end of an answer');
    if (body.at === 'data') {
      const piece = bytes.subarray(at, at + body.left);
      found.push(piece);
      at += piece.length;
      body.left -= piece.length;
      if (body.left === 0) body.at = 'data end';
      continue;
    }
    const end = bytes.indexOf('\n', at);
    body.line += bytes.toString('latin1', at, end < 0 ? bytes.length : end + 1);
    if (body.line.length > longestHead) throw malformed('a line without end');
    if (end < 0) return found;
    at = end + 1;
    const { line } = body;
    body.line = '';
    endLine(body, line);
  }
  return found;
}

function endLine(body: Extract<Body, { kind: 'chunked' }>, line: string): void {
  if (!line.endsWith('\r\n')) throw malformed('a line that ends too soon');
  if (body.at === 'data end') {
    if (line !== '\r\n') throw malformed('a chunk longer than it says');
    body.at = 'size';
  } else if (body.at === 'size') {
    const [, size] = /^([\da-f]{1,12})[\t ]*(?:;.*)?\r\n$/i.exec(line) ?? [];
    if (size === undefined) throw malformed('a chunk without a size');
    body.left = Number.parseInt(size, 16);
    body.at = body.left === 0 ? 'trailer' : 'data';
  } else if (line === '\r\n') {
    body.at = 'end'; // any other line is a trailer, which nobody needs
  }
}

function malformed(what: string): Error {
  // The code resembles those of Node's parser, which mean the same to callers who judge errors.
  return Object.assign(new Error(`The answer is malformed: ${what}.`), { code: 'HPE_INVALID_ANSWER' });
}

function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x09;
}
