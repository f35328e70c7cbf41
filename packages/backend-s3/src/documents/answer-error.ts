import type { IncomingMessage } from 'node:http';

import { destroyOnAbort } from '@coffer/storage-core';

import { isElsewhere, isForeignHead, mayBeProxied } from '../http/foreign-answer.ts';
import { isErrorDocument } from './answer.ts';

/** Bytes: what is longer is no error of S3. */
export const longestError: number = 64 * 1024;

type Headers = Readonly<Record<string, string>>;

/** An answer that is no success, in the shape that the errors of the AWS SDK have. */
export class AnswerError extends Error {
  /** What S3 calls it; empty where there is no document, as in answers to HEAD. */
  override readonly name: string;
  /** With whether an attempt before this one may have been carried out, once that is known. */
  readonly $metadata: { readonly httpStatusCode: number; isDoubtful?: boolean };
  declare readonly $response: { readonly headers: Headers };
  /** Where the bucket lies, if the answer is about that. */
  declare readonly region: string | undefined;
  /** The bucket that it is about, where it says so. */
  declare readonly BucketName: string | undefined;

  constructor(status: number, headers: Headers, document: string) {
    super(valueIn(document, 'Message') ?? `The answer was ${status}.`);
    const told = isElsewhere(status) ? undefined : valueIn(document, 'Code');
    this.name = told ?? (isForeign(status, headers, document) ? 'NoS3AnswerError' : '');
    this.$metadata = { httpStatusCode: status };
    // Not for logs.
    Object.defineProperty(this, '$response', { value: { headers } });
    Object.defineProperty(this, 'region', { value: regionIn(headers, document) });
    Object.defineProperty(this, 'BucketName', { value: valueIn(document, 'BucketName') });
  }
}

/** Reads what there is to know; a document that is cut short has told less, and is no other error. */
export async function answerError(answer: IncomingMessage, signal: AbortSignal | undefined): Promise<AnswerError> {
  const document = await documentOf(answer, signal);
  return new AnswerError(answer.statusCode ?? 0, answer.headers as Headers, document);
}

/** As much as an error may have. */
export async function documentOf(answer: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
  destroyOnAbort(answer, signal);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if ((size += chunk.length) > longestError) break; // which closes the connection
    }
  } catch {
    signal?.throwIfAborted();
  }
  return Buffer.concat(chunks).toString();
}

/** A page of somebody's, where S3 has an XML document or nothing. */
function isForeign(status: number, headers: Headers, document: string): boolean {
  if (isElsewhere(status)) return true;
  return document.trim() === '' ? isForeignHead(status, headers) : !mayBeProxied(status) && !isErrorDocument(document);
}

function valueIn(document: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]+)</${name}>`).exec(document)?.[1];
}

function regionIn(headers: Headers, document: string): string | undefined {
  const told = headers['x-amz-bucket-region'] ?? valueIn(document, 'Region');
  return told ?? /^(?:.+\.)?s3[.-]([a-z0-9-]+)\.amazonaws\.com/.exec(valueIn(document, 'Endpoint') ?? '')?.[1];
}
