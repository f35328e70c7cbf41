import { ForeignAnswerError } from './foreign-answer.ts';

const longestHead = 64 * 1024;
const start = 'HTTP/1.';
const statusLine = /^HTTP\/1\.[01] [1-5]\d\d(?: |\r\n)/;
/** Of which some make the end of a line. */
const looseEnd = /\r[^\n]|[^\r]\n|\0/;
const none: readonly Buffer[] = [];

export interface AnswerHead {
  readonly status: number;
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

/** How the bytes of a body are told from what follows them. */
type Body =
  /** So many bytes. */
  | { readonly kind: 'sized'; left: number }
  /** Chunks, each after a line with its size; `left` of the present one. */
  | { readonly kind: 'chunked'; left: number; line: string; at: 'size' | 'data' | 'data end' | 'trailer' }
  /** All until the connection ends. */
  | { readonly kind: 'rest' };

/** One answer of HTTP/1, out of chunks that are cut anywhere. For servers, which frame well: whatever is odd is an error. */
export class RawAnswer {
  #pending = '';
  #head: AnswerHead | undefined;
  #body: Body = { kind: 'sized', left: 0 };
  #keepsAlive = false;
  readonly #isHead: boolean;

  /** @param options.isHead the request was one of the head alone: whatever it says of a body, none comes */
  constructor({ isHead = false }: { readonly isHead?: boolean } = {}) {
    this.#isHead = isHead;
  }

  /** Once it is there. */
  get head(): AnswerHead | undefined {
    return this.#head;
  }

  /** Bytes of the body that are still to come, where its head says so. */
  get left(): number | undefined {
    return this.#head !== undefined && this.#body.kind === 'sized' ? this.#body.left : undefined;
  }

  get isComplete(): boolean {
    const body = this.#body;
    if (this.#head === undefined || body.kind === 'rest') return false;
    return body.kind === 'sized' ? body.left === 0 : body.at === 'trailer' && body.left === 0;
  }

  /** Whether the end of the connection is the end of the answer. */
  get endsWithConnection(): boolean {
    return this.#head !== undefined && this.#body.kind === 'rest';
  }

  /** Whether another request may follow on the connection. */
  get keepsAlive(): boolean {
    return this.#keepsAlive && this.#body.kind !== 'rest';
  }

  /**
   * @returns what is body of it: parts of this very chunk
   * @throws for what is no answer, and for bytes that follow it
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

  /** @returns what follows the head; undefined while there is no end of it */
  #readHead(chunk: Buffer): Buffer | undefined {
    const before = this.#pending.length;
    // Of a chunk with the head and more, the head alone: a string of all would live as long as any header does, which is a part of it.
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
    // What comes before the answer proper, such as 100.
    if (status < 200) return chunk.subarray(end + 4 - before);
    const headers = headersOf(head, end);
    const isOld = head[7] === '0';
    const { connection } = headers;
    this.#keepsAlive = connection === undefined ? !isOld : !/\bclose\b/i.test(connection) && (!isOld || /\bkeep-alive\b/i.test(connection));
    this.#body = this.#isHead ? { kind: 'sized', left: 0 } : framingOf(status, headers);
    this.#head = { status, headers };
    return chunk.subarray(end + 4 - before);
  }
}

/** Of which an answer has one: of several, the first counts, as with node:http. Not those of the framing, which must be clear. */
const single: ReadonlySet<string> = new Set(['age', 'content-type', 'date', 'etag', 'expires', 'last-modified', 'location', 'retry-after']);

/** Of a head that is over at `end`. Without a string for each line: there are some fifteen in every answer. */
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
    else if (!single.has(name)) headers[name] = `${known}, ${value}`;
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
    if (body.at === 'trailer' && body.left === 0) throw malformed('bytes after the end of an answer');
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
    if (body.left === 0) body.left = 1; // until the empty line
  } else if (line === '\r\n') {
    body.left = 0;
  }
}

function malformed(what: string): Error {
  // In the words of Node's parser, which means the same for whoever has to judge it.
  return Object.assign(new Error(`The answer is malformed: ${what}.`), { code: 'HPE_INVALID_ANSWER' });
}

function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x09;
}
