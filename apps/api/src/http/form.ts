import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

import { withOwnedChunks } from '@coffer/storage-core';
import {
  assertPlainBody,
  contentLength,
  fieldText,
  malformedForm,
  multipartBoundary,
  MultipartParser,
  payloadTooLarge,
  smallBodyBytes,
  validationFailed,
} from '@coffer/storage-core/http';
import type { MultipartHandler, PartHead } from '@coffer/storage-core/http';

/** A form whose file part has begun, or a small form as a whole. */
export interface UploadForm {
  /**
   * The file's bytes: a buffer, once the whole form has arrived, if the form announces a small length; else a stream. The stream ends only
   * once the form has been read to its end, and fails if the form is cut short, malformed or too large, so that what was written of
   * it can still be discarded.
   */
  readonly file: Buffer | Readable;
  /** Base name; undefined when the part has none. */
  readonly filename: string | undefined;
  /** As declared by the part. */
  readonly contentType: string | undefined;
  /**
   * Size of the file in bytes, estimated from the form's announced length. Exact if the file is the last part, at most 2 too low if the
   * client leaves out the last line break, and too high if fields follow the file.
   */
  readonly sizeHint: number | undefined;
  /** The fields seen so far; all of them once the file has ended. */
  readonly fields: ReadonlyMap<string, string>;
  /** Call it when nobody reads the file any more. */
  close(): void;
}

// All fields together: a slow sender makes the server hold them for long.
const maxFieldBytes = 65_536;
const maxFields = 32;
const fileHighWaterMark = 262_144;
const lineFeed = 10;
// A form's framing around the largest file: boundaries, part headers and the other fields.
const framingAllowance = maxFieldBytes * 2;
/** Up to this many bytes after the last boundary are read here. More is left to the server, which needs timers and listeners for it. */
const maxEpilogueBytes = 4096;

export interface FormLimits {
  /** A larger file fails with payload_too_large. */
  readonly maxFileBytes: number;
  /** Known field names. A part with another name and a file name is an unexpected file. */
  readonly fieldNames: readonly string[];
}

/**
 * Reads a multipart/form-data body up to its part `file`, whatever comes before or after it. The rest streams.
 * @throws unsupported_media_type, validation_failed, payload_too_large
 */
export async function openForm(incoming: IncomingMessage, limits: FormLimits): Promise<UploadForm> {
  const { maxFileBytes } = limits;
  const boundary = multipartBoundary(incoming.headers['content-type']);
  assertPlainBody(incoming);
  const length = contentLength(incoming);
  if (length !== undefined && length > maxFileBytes + framingAllowance) throw payloadTooLarge(maxFileBytes);
  return new FormReader(incoming, boundary, limits).opened;
}

/** Parses one form from a request for the reader of its file. */
class FormReader implements MultipartHandler {
  readonly opened: Promise<UploadForm>;
  readonly #incoming: IncomingMessage;
  readonly #parser: MultipartParser;
  readonly #limits: FormLimits;
  readonly #fields = new Map<string, string>();
  readonly #result = Promise.withResolvers<UploadForm>();
  /** Undefined for a small form. */
  readonly #stream: Readable | undefined;
  /** The file of a small form. */
  readonly #chunks: Buffer[] = [];
  #current: PartHead | undefined;
  #value: Buffer[] = [];
  /** Bytes of the file; `#fieldBytes` are those of all fields. */
  #size = 0;
  #fieldBytes = 0;
  #fileHead: PartHead | undefined;
  #isOpen = false;
  #isOver = false;
  /** Bytes of the form given to the parser; `#fileStart` are those before the file's content. */
  #parsed = 0;
  #fileStart = 0;
  readonly #endLength: number;

  constructor(incoming: IncomingMessage, boundary: string, limits: FormLimits) {
    this.#incoming = incoming;
    this.#limits = limits;
    this.#parser = new MultipartParser(boundary, this);
    this.#endLength = `\r\n--${boundary}--\r\n`.length; // a boundary is ASCII
    this.opened = this.#result.promise;
    const length = contentLength(incoming);
    if (length === undefined || length > smallBodyBytes) this.#stream = this.#openStream();
    if (incoming.destroyed) {
      this.#onPrematureClose();
    } else {
      incoming.on('data', this.#onData);
      incoming.once('close', this.#onPrematureClose);
    }
  }

  #openStream(): Readable {
    const stream = new Readable({
      highWaterMark: fileHighWaterMark,
      read: () => void this.#incoming.resume(),
      // A reader that gives up ends the form: nobody will read the rest of the part.
      destroy: (error, done) => {
        this.#fail(error ?? new Error('The file was not read to its end.'));
        done(error);
      },
    });
    stream.on('error', () => {}); // it may fail before anybody reads it
    return withOwnedChunks(stream); // these are chunks, or parts of chunks, that nobody else reads
  }

  part(head: PartHead): void {
    // Browsers make up a file name for a field given as a Blob, which is how such a field gets its own type.
    const isUnexpectedFile = head.filename !== undefined && !this.#limits.fieldNames.includes(head.name);
    this.#current = head;
    this.#value = [];
    if (head.name === 'file') {
      if (this.#fileHead !== undefined) throw validationFailed([{ field: 'file', message: 'only one file is accepted per request' }]);
      this.#fileHead = head;
      this.#fileStart = this.#parsed;
    } else if (isUnexpectedFile) {
      throw validationFailed([{ field: head.name, message: 'is not the file field of this form; send the file in the field "file"' }]);
    } else if (this.#fields.has(head.name)) {
      throw validationFailed([{ field: head.name, message: 'given more than once' }]);
    } else if (this.#fields.size === maxFields) {
      throw malformedForm(`The form has more than ${maxFields} fields.`);
    }
  }

  data(bytes: Buffer): void {
    const { name } = this.#current!;
    if (name === 'file') {
      this.#size += bytes.length;
      if (this.#size > this.#limits.maxFileBytes) throw payloadTooLarge(this.#limits.maxFileBytes);
      if (this.#stream === undefined) {
        this.#chunks.push(bytes);
        return;
      }
      this.#openFile(this.#stream);
      if (!this.#stream.push(bytes)) this.#incoming.pause();
      return;
    }
    this.#fieldBytes += bytes.length;
    if (this.#fieldBytes > maxFieldBytes)
      throw validationFailed([{ field: name, message: `the fields of a form must have at most ${maxFieldBytes} bytes in total` }]);
    this.#value.push(bytes);
  }

  partEnd(): void {
    const head = this.#current!;
    const { name, filename } = head;
    if (name !== 'file') {
      this.#fields.set(name, fieldText(head, Buffer.concat(this.#value)));
      return;
    }
    // What a browser sends for a form in which no file was chosen.
    if (this.#size === 0 && filename === '') throw validationFailed([{ field: 'file', message: 'no file was chosen' }]);
    if (this.#stream !== undefined) this.#openFile(this.#stream);
  }

  end(): void {
    if (this.#fileHead === undefined) throw validationFailed([{ field: 'file', message: 'a form with a part "file" is needed' }]);
    this.#detach();
    const remaining = (contentLength(this.#incoming) ?? Infinity) - this.#parsed;
    if (remaining <= maxEpilogueBytes) this.#incoming.resume(); // the little that is left ends at once, and needs no cleanup
    if (this.#stream !== undefined) this.#stream.push(null);
    else this.#openFile(this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks));
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      // Until the file has begun, chunks are split wherever a part's head may end, so that `#fileStart` includes nothing of the content.
      for (let at = 0; at < chunk.length;) {
        const end = this.#fileHead !== undefined ? chunk.length : endOfHead(chunk, at);
        this.#parsed += end - at;
        this.#parser.push(chunk.subarray(at, end));
        at = end;
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  };

  readonly #onPrematureClose = (): void => this.#fail(malformedForm('The form is cut short.'));

  #openFile(file: Buffer | Readable): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    const { filename, contentType } = this.#fileHead!;
    const length = contentLength(this.#incoming);
    this.#result.resolve({
      file,
      filename: filename === '' ? undefined : filename,
      contentType,
      sizeHint: length === undefined ? undefined : Math.max(length - this.#fileStart - this.#endLength, 0),
      fields: this.#fields,
      close: () => this.#stream?.destroy(),
    });
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#detach();
    this.#result.reject(error);
    this.#stream?.destroy(error);
  }

  /** Stops reading the request; the server disposes of the rest. */
  #detach(): void {
    this.#isOver = true;
    const incoming = this.#incoming;
    incoming.off('data', this.#onData);
    incoming.off('close', this.#onPrematureClose);
    incoming.pause();
  }
}

/** Offset after the first line break that may end a part's head; the end of the chunk when there is none. */
function endOfHead(chunk: Buffer, from: number): number {
  // A line break that began in the previous chunk.
  for (let at = from; at < Math.min(2, chunk.length); at++) if (chunk[at] === lineFeed) return at + 1;
  const found = chunk.indexOf('\n\r\n', Math.max(from - 2, 0));
  return found === -1 ? chunk.length : found + 3;
}
