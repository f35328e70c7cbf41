import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

import { isStorageError } from '@coffer/storage-core';
import { fieldText, malformedForm, multipartBoundary, MultipartParser, requestBody, validationFailed } from '@coffer/storage-core/http';
import type { MultipartHandler, PartHead } from '@coffer/storage-core/http';

/** The file of a form, with the fields before it by lower-case name. */
export interface FormFile {
  readonly fields: ReadonlyMap<string, string>;
  /** Ends only once the form has been read to its end, and fails if that end never comes: nothing is committed before. */
  readonly stream: Readable;
  /** As the part declares it. */
  readonly contentType: string | undefined;
}

const maxFields = 32;
// All fields before the file together: nothing is authenticated yet.
const maxFieldBytes = 65_536;
// Those and everything after the file, which is ignored.
const maxRestBytes = 1_048_576;
const fileBuffer = 262_144;

/**
 * Reads a multipart form up to its part `file`, passes the file to `take` as it arrives, and ignores later parts.
 * @throws unsupported_media_type if the body is not a form, validation_failed if it is broken or lacks the file
 */
export async function receiveFile<T>(request: IncomingMessage, take: (file: FormFile) => Promise<T>): Promise<T> {
  const boundary = multipartBoundary(request.headers['content-type']);
  const body = requestBody(request);
  let taken: Promise<T> | undefined;
  const form = new FormReader((file) => {
    taken = take(file);
    taken.catch((error: unknown) => {
      body.destroy(error as Error); // the rest of a refused form is not read
      form.stream.destroy(); // stops waiting for anyone to read what is buffered
    });
  });
  try {
    await form.read(body, new MultipartParser(boundary, form));
  } catch (thrown) {
    const error = isStorageError(thrown) ? thrown : malformedForm('The form is cut short.', thrown);
    form.stream.destroy(error);
    await taken; // waits for its cleanup; if it rejects, its error explains best
    throw error;
  }
  return taken!; // defined: a form without a file has thrown by now
}

class FormReader implements MultipartHandler {
  readonly stream: Readable;
  readonly #onFile: (file: FormFile) => void;
  readonly #fields = new Map<string, string>();
  #head: PartHead | undefined;
  #value: Buffer[] = [];
  /** Bytes of everything but the file. */
  #size = 0;
  #position: 'before' | 'file' | 'after' = 'before';
  #full = false;
  #onRoom = (): void => {};

  constructor(onFile: (file: FormFile) => void) {
    this.#onFile = onFile;
    this.stream = new Readable({
      highWaterMark: fileBuffer,
      read: () => this.#resume(),
      destroy: (error, done) => {
        this.#resume();
        done(error);
      },
    });
    this.stream.on('error', () => {}); // it may fail while nobody reads it
  }

  /** @throws validation_failed, and any error of the body */
  async read(body: Readable, parser: MultipartParser): Promise<void> {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      parser.push(chunk);
      if (parser.finished) return;
      if (this.#full && !this.stream.destroyed) await new Promise<void>((resolve) => (this.#onRoom = resolve));
    }
    throw malformedForm('The form is cut short.');
  }

  part(head: PartHead): void {
    if (this.#position !== 'before') {
      this.#position = 'after';
      return;
    }
    this.#value = [];
    this.#head = { ...head, name: head.name.toLowerCase() };
    const { name, filename, contentType } = this.#head;
    if (name === 'file') {
      this.#position = 'file';
      this.#onFile({ fields: this.#fields, stream: this.stream, contentType });
    } else if (filename !== undefined) {
      throw validationFailed([{ field: name, message: 'is not the file field of this form; send the file in the field "file"' }]);
    } else if (this.#fields.has(name)) {
      throw validationFailed([{ field: name, message: 'given more than once' }]);
    } else if (this.#fields.size === maxFields) {
      throw malformedForm(`The form has more than ${maxFields} fields.`);
    }
  }

  data(bytes: Buffer): void {
    if (this.#position === 'file') {
      this.#full = !this.stream.push(bytes);
      return;
    }
    this.#size += bytes.length;
    if (this.#size > (this.#position === 'before' ? maxFieldBytes : maxRestBytes))
      throw malformedForm('The fields of the form are too large.');
    if (this.#position === 'before') this.#value.push(bytes);
  }

  partEnd(): void {
    if (this.#position === 'before') this.#fields.set(this.#head!.name, fieldText(this.#head!, Buffer.concat(this.#value)));
  }

  end(): void {
    if (this.#position === 'before') throw validationFailed([{ field: 'file', message: 'a form with a part "file" is needed' }]);
    this.stream.push(null);
  }

  #resume(): void {
    this.#full = false;
    this.#onRoom();
  }
}
