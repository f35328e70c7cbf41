import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

import { storageError } from '@coffer/storage-core';

import { validationFailed } from '../problem.ts';
import { assertPlainBody, contentLength, payloadTooLarge } from './request-body.ts';
import { MultipartParser } from './multipart.ts';
import type { MultipartHandler } from './multipart.ts';
import { malformedForm } from './part-head.ts';
import type { PartHead } from './part-head.ts';

/** A form whose file part has begun; nothing of the file has been read yet. */
export interface UploadForm {
  /**
   * The file's bytes. They end only once the form has been read to its own end, and fail when it turns out to be cut
   * short, malformed or too large: what was written of them can still be thrown away then.
   */
  readonly file: Readable;
  /** Base name; undefined when the part has none. */
  readonly filename: string | undefined;
  /** As declared by the part. */
  readonly contentType: string | undefined;
  /** Upper bound of the file's size in bytes, where the form's length was announced. */
  readonly sizeLimit: number | undefined;
  /** The fields seen so far; all of them once the file has ended. */
  readonly fields: ReadonlyMap<string, string>;
}

const maxFieldBytes = 65_536;
const maxFields = 32;
const fileHighWaterMark = 262_144;
// A form's own framing around the largest file: boundaries, part headers and the other fields.
const framingAllowance = maxFieldBytes * 2;

/**
 * Reads a multipart/form-data body up to its part `file`, whatever stands before or after it. The rest streams.
 * @param maxFileBytes a larger file fails with payload_too_large
 * @throws unsupported_media_type, validation_failed, payload_too_large
 */
export async function openForm(incoming: IncomingMessage, maxFileBytes: number): Promise<UploadForm> {
  const boundary = boundaryOf(incoming.headers['content-type'] ?? '');
  assertPlainBody(incoming);
  const length = contentLength(incoming);
  if (length !== undefined && length > maxFileBytes + framingAllowance) throw payloadTooLarge(maxFileBytes);
  return new FormReader(incoming, boundary, maxFileBytes).opened;
}

function boundaryOf(contentType: string): string {
  if (!/^multipart\/form-data[ \t]*(?:;|$)/i.test(contentType)) {
    throw storageError('unsupported_media_type', 'Send the file as multipart/form-data, in a part named "file".');
  }
  const match = /;[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]*)"|([^;\s"]*))[ \t]*(?:;|$)/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2] ?? '';
  if (boundary === '') throw malformedForm('The Content-Type header has no usable multipart boundary.');
  return boundary;
}

/** One form on its way from a request to the reader of its file. */
class FormReader implements MultipartHandler {
  readonly opened: Promise<UploadForm>;
  readonly #incoming: IncomingMessage;
  readonly #parser: MultipartParser;
  readonly #maxFileBytes: number;
  readonly #fields = new Map<string, string>();
  readonly #open = Promise.withResolvers<UploadForm>();
  readonly #file: Readable;
  #current: PartHead | undefined;
  #value: Buffer[] = [];
  #size = 0;
  #hasFile = false;
  #isOpen = false;
  #over = false;

  constructor(incoming: IncomingMessage, boundary: string, maxFileBytes: number) {
    this.#incoming = incoming;
    this.#maxFileBytes = maxFileBytes;
    this.#parser = new MultipartParser(boundary, this);
    this.opened = this.#open.promise;
    this.#file = new Readable({
      highWaterMark: fileHighWaterMark,
      read: () => {
        if (!this.#over) incoming.resume();
      },
      // A reader that gives up ends the form: nobody will read the rest of the part.
      destroy: (error, done) => {
        this.#stop(error ?? new Error('The file was not read to its end.'));
        done(error);
      },
      autoDestroy: false,
    });
    this.#file.on('error', () => {}); // also one that nobody reads yet
    if (incoming.destroyed) {
      this.#onCut();
    } else {
      incoming.on('data', this.#onData);
      incoming.once('end', this.#onCut);
      incoming.once('error', this.#onCut);
      incoming.once('close', this.#onCut);
    }
  }

  part(head: PartHead): void {
    const isFile = head.filename !== undefined || head.name === 'file';
    this.#current = head;
    this.#size = 0;
    this.#value = [];
    if (!isFile) {
      if (this.#fields.has(head.name)) throw validationFailed([{ field: head.name, message: 'given more than once' }]);
      if (this.#fields.size === maxFields) throw malformedForm(`The form has more than ${maxFields} fields.`);
      return;
    }
    if (head.name !== 'file')
      throw validationFailed([{ field: head.name, message: 'is no file of this form; the file goes into the field "file"' }]);
    if (this.#hasFile) throw validationFailed([{ field: 'file', message: 'exactly one file is taken per request' }]);
    this.#hasFile = true;
  }

  data(bytes: Buffer): void {
    const { name } = this.#head();
    this.#size += bytes.length;
    if (name === 'file') {
      if (this.#size > this.#maxFileBytes) throw payloadTooLarge(this.#maxFileBytes);
      this.#openFile();
      if (!this.#file.push(bytes)) this.#incoming.pause();
      return;
    }
    if (this.#size > maxFieldBytes) throw validationFailed([{ field: name, message: `at most ${maxFieldBytes} bytes` }]);
    this.#value.push(bytes);
  }

  partEnd(): void {
    const { name, filename, charset = 'utf-8' } = this.#head();
    if (name !== 'file') {
      this.#fields.set(name, textOf(name, Buffer.concat(this.#value), charset));
      return;
    }
    // What a browser sends for a form in which no file was chosen.
    if (this.#size === 0 && filename === '') throw validationFailed([{ field: 'file', message: 'no file was chosen' }]);
    this.#openFile();
  }

  end(): void {
    if (!this.#hasFile) throw validationFailed([{ field: 'file', message: 'a form with a part "file" is needed' }]);
    this.#leave();
    this.#file.push(null);
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.#stop(error as Error);
    }
  };

  readonly #onCut = (): void => this.#stop(malformedForm('The form is cut short.'));

  #openFile(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    const { filename, contentType } = this.#head();
    this.#open.resolve({
      file: this.#file,
      filename: filename === '' ? undefined : filename,
      contentType,
      sizeLimit: contentLength(this.#incoming),
      fields: this.#fields,
    });
  }

  #head(): PartHead {
    if (this.#current === undefined) throw new Error('Content came before the first part.');
    return this.#current;
  }

  #stop(error: Error): void {
    if (this.#over) return;
    this.#leave();
    this.#open.reject(error);
    this.#file.destroy(error);
  }

  /** What is left of the request is not read any more; the server gets rid of it. */
  #leave(): void {
    this.#over = true;
    const incoming = this.#incoming;
    incoming.off('data', this.#onData);
    incoming.off('end', this.#onCut);
    incoming.off('error', this.#onCut);
    incoming.off('close', this.#onCut);
    incoming.on('error', () => {});
    incoming.pause();
  }
}

function textOf(name: string, value: Buffer, charset: string): string {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw validationFailed([{ field: name, message: 'is not text in the charset that it declares, or else in UTF-8' }]);
  }
}
