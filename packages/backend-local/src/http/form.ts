import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

import { isStorageError, storageError } from '@coffer/storage-core';
import { Busboy } from '@fastify/busboy';
import type { BusboyHeaders, BusboyInstance } from '@fastify/busboy';

/** The file of a form, with the fields that came before it by their lower-case names. */
export interface FormFile {
  readonly fields: ReadonlyMap<string, string>;
  readonly stream: Readable;
  /** As the part declares it. */
  readonly contentType: string;
}

const limits = { fieldNameSize: 100, fieldSize: 64 * 1024, fields: 32, files: 1, parts: 33, headerPairs: 32, headerSize: 16 * 1024 };
const fileBuffer = 256 * 1024;

/**
 * Reads a multipart form up to its part `file`, which is the last that counts, and hands it on as it arrives.
 * @throws invalid_argument for a form that is broken or lacks the file, unsupported_media_type for what is no form
 */
export async function receiveFile<T>(request: IncomingMessage, take: (file: FormFile) => Promise<T>): Promise<T> {
  const parser = parserFor(request);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const fields = new Map<string, string>();
  let file: Readable | undefined;
  let refused = false;
  const fail = (error: Error): void => {
    refused = true;
    if (file === undefined) reject(error);
    else file.destroy(error); // whoever reads it fails with the error and cleans up
  };

  parser.on('field', (name, value, nameCut, valueCut) => {
    if (nameCut || valueCut) fail(malformed('has a field that is too long'));
    else if (file === undefined) fields.set(name.toLowerCase(), value);
  });
  parser.on('file', (name, stream, _filename, _encoding, contentType) => {
    if (refused) return void stream.destroy(); // the parser is not stopped at once
    file = stream;
    // That a part is cut short is said by an event alone, possibly before anybody reads the part.
    let cutShort: unknown;
    stream.on('error', (error: Error) => {
      cutShort ??= error;
      stream.destroy(error);
    });
    if (name !== 'file') {
      stream.destroy();
      reject(malformed('has another file than "file"'));
    } else {
      take({ fields, stream, contentType }).then(resolve, (error: unknown) => {
        reject(error === cutShort && !isStorageError(error) ? malformed('ends before its file does', error) : error);
      });
    }
  });
  parser.once('fieldsLimit', () => fail(malformed('has too many fields')));
  parser.once('partsLimit', () => fail(malformed('has too many parts')));
  parser.once('error', (cause) => fail(malformed('is broken', cause)));
  parser.once('finish', () => {
    if (file === undefined) reject(malformed('lacks the part "file"'));
  });
  request.once('error', fail);
  request.pipe(parser);
  try {
    return await promise;
  } finally {
    request.unpipe(parser);
    file?.destroy();
    parser.on('error', () => {}); // what follows the file does not matter
    parser.destroy();
  }
}

function parserFor(request: IncomingMessage): BusboyInstance {
  const type = request.headers['content-type'];
  if (type === undefined || !/^multipart\/form-data\b/i.test(type)) {
    throw storageError('unsupported_media_type', 'A presigned form is sent as multipart/form-data.');
  }
  try {
    return new Busboy({ headers: request.headers as BusboyHeaders, limits, fileHwm: fileBuffer });
  } catch (cause) {
    throw malformed('has no boundary', cause);
  }
}

function malformed(problem: string, cause?: unknown): Error {
  return storageError('invalid_argument', `The form ${problem}.`, { cause });
}
