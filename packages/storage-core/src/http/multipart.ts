import { storageError } from '../errors.ts';
import { malformedForm, parsePartHead } from './part-head.ts';
import type { PartHead } from './part-head.ts';

/** Receives the parts of a form, in order. An error it throws ends the parsing. */
export interface MultipartHandler {
  /** A part begins; its bytes come next. */
  part(head: PartHead): void;
  /** Bytes of the current part: a view of the pushed chunk. When the view covers the whole chunk, the parser no longer needs that chunk. */
  data(bytes: Buffer): void;
  /** All bytes of the part have arrived. */
  partEnd(): void;
  /** The closing boundary has been read; anything after it is ignored. */
  end(): void;
}

/**
 * The boundary of a form, from its Content-Type.
 * @throws unsupported_media_type when it is not a form, validation_failed without a boundary
 */
export function multipartBoundary(contentType: string = ''): string {
  if (!/^multipart\/form-data[ \t]*(?:;|$)/i.test(contentType)) {
    throw storageError('unsupported_media_type', 'Send the file as multipart/form-data, in a part named "file".');
  }
  // White space is never optional twice in a row, which keeps hostile input linear.
  const match = /;[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]*)"[ \t]*|([^;\s"]+)[ \t]*)?(?:;|$)/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2] ?? '';
  if (boundary === '') throw malformedForm('The Content-Type header has no usable multipart boundary.');
  return boundary;
}

const maxHeadBytes = 8192;
const maxPreambleBytes = 65_536;
const maxPaddingBytes = 256;
const emptyBuffer: Buffer = Buffer.alloc(0);
const headEnd = Buffer.from('\r\n\r\n');
const carriageReturn = 13;
const lineFeed = 10;
const dash = 45;
const space = 32;
const tab = 9;

/**
 * Parses a multipart/form-data body as it arrives, however it is cut into chunks. Holds back no more than the head of a part or the
 * beginning of a boundary. Anything malformed is an error: a lenient parser would silently store a file that is not what was sent.
 * @see RFC 2046, section 5.1, and RFC 7578
 */
export class MultipartParser {
  readonly #handler: MultipartHandler;
  readonly #delimiter: Buffer;
  #state: 'preamble' | 'boundary' | 'head' | 'body' | 'epilogue' = 'preamble';
  // The first boundary needs no line break before it.
  #kept: Buffer = Buffer.from('\r\n');
  #preambleBytes = 0;

  /** @throws validation_failed for an invalid boundary */
  constructor(boundary: string, handler: MultipartHandler) {
    if (!/^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary))
      throw malformedForm('The Content-Type header has no usable multipart boundary.');
    this.#handler = handler;
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  }

  /** Whether the closing boundary has been read. */
  get finished(): boolean {
    return this.#state === 'epilogue';
  }

  /** @throws validation_failed, and what the handler throws */
  push(chunk: Buffer): void {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    let at: number | undefined = 0;
    while (at !== undefined) at = this.#step(bytes, at);
  }

  /** @returns where the next step begins; undefined when it needs bytes that have not arrived */
  #step(bytes: Buffer, at: number): number | undefined {
    switch (this.#state) {
      case 'preamble':
      case 'body':
        return this.#content(bytes, at);
      case 'boundary':
        return this.#boundary(bytes, at);
      case 'head':
        return this.#head(bytes, at);
      case 'epilogue':
        return undefined;
    }
  }

  #content(bytes: Buffer, at: number): number | undefined {
    const found = bytes.indexOf(this.#delimiter, at);
    const end = found === -1 ? this.#beginningOfDelimiter(bytes, at) : found;
    if (found === -1) this.#keep(bytes, end); // before the bytes are handed out: their memory may be gone afterwards
    if (this.#state === 'preamble') {
      this.#preambleBytes += end - at;
      if (this.#preambleBytes > maxPreambleBytes) throw malformedForm('The form does not begin with its boundary.');
    } else if (end > at) {
      this.#handler.data(bytes.subarray(at, end));
    }
    if (found === -1) return undefined;
    if (this.#state === 'body') this.#handler.partEnd();
    this.#state = 'boundary';
    return found + this.#delimiter.length;
  }

  #boundary(bytes: Buffer, at: number): number | undefined {
    if (bytes[at] === dash && bytes[at + 1] === dash) {
      this.#state = 'epilogue';
      this.#kept = emptyBuffer;
      this.#handler.end();
      return undefined;
    }
    let end = at;
    while (bytes[end] === space || bytes[end] === tab) end += 1;
    if (end - at > maxPaddingBytes) throw malformedForm('A boundary of the form is not followed by a line break.');
    if (bytes.length - end < 2) return this.#keep(bytes, at);
    if (bytes[end] !== carriageReturn || bytes[end + 1] !== lineFeed)
      throw malformedForm('A boundary of the form is not followed by a line break.');
    this.#state = 'head';
    return end; // the head begins with this line break, so that an empty head ends like any other
  }

  #head(bytes: Buffer, at: number): number | undefined {
    const found = bytes.indexOf(headEnd, at);
    if ((found === -1 ? bytes.length : found) - at > maxHeadBytes)
      throw malformedForm(`The headers of a part are larger than ${maxHeadBytes} bytes.`);
    if (found === -1) return this.#keep(bytes, at);
    this.#state = 'body';
    this.#handler.part(parsePartHead(bytes.subarray(at + 2, found)));
    return found + headEnd.length;
  }

  #keep(bytes: Buffer, from: number): undefined {
    this.#kept = from === bytes.length ? emptyBuffer : bytes.subarray(from);
  }

  /** Where the bytes end in what may become a delimiter; their length if they do not. */
  #beginningOfDelimiter(bytes: Buffer, at: number): number {
    let from = Math.max(at, bytes.length - this.#delimiter.length + 1);
    for (;;) {
      from = bytes.indexOf(carriageReturn, from);
      if (from === -1) return bytes.length;
      const length = bytes.length - from;
      if (bytes.compare(this.#delimiter, 0, length, from, bytes.length) === 0) return from;
      from += 1;
    }
  }
}
