import type { IncomingMessage } from 'node:http';

import { destroyOnAbort } from '@coffer/storage-core';

import { isForeignHead, isNonS3Status, mayBeProxied } from '../http/foreign-answer.ts';
import { isErrorDocument } from './answer.ts';

/** Bytes. Anything longer is no error of S3. */
export const longestError: number = 64 * 1024;

type Headers = Readonly<Record<string, string>>;

/** An answer that is no success, in the shape of the errors of the AWS SDK. */
export class AnswerError extends Error {
  /** S3's name for the error; empty if there is no document, as in answers to HEAD. */
  override readonly name: string;
  readonly $metadata: { readonly httpStatusCode: number };
  declare readonly $response: { readonly headers: Headers };
  /** The region of the bucket, if the answer is about that. */
  declare readonly region: string | undefined;
  /** The bucket that the error is about, if it says so. */
  declare readonly BucketName: string | undefined;

  constructor(status: number, headers: Headers, document: string) {
    super(valueIn(document, 'Message') ?? `The answer was ${status}.`);
    const code = isNonS3Status(status) ? undefined : valueIn(document, 'Code');
    this.name = code ?? (isForeign(status, headers, document) ? 'NoS3AnswerError' : '');
    this.$metadata = { httpStatusCode: status };
    // Not enumerable, to stay out of logs.
    Object.defineProperty(this, '$response', { value: { headers } });
    Object.defineProperty(this, 'region', { value: regionIn(headers, document) });
    Object.defineProperty(this, 'BucketName', { value: valueIn(document, 'BucketName') });
  }
}

/** Statuses that stand for one kind of refusal, whatever the body says. */
const clearStatuses: ReadonlySet<number> = new Set([412, 413, 416]);

/** Whether this much of the document of a refusal is enough to tell which one it is. */
export function saysEnough(status: number, document: string): boolean {
  return status >= 500 || clearStatuses.has(status) || document.length > longestError || document.includes('</Code>');
}

/** Reads a document, up to the length that an error may have. If it was cut short, this is what there is of it. */
export async function documentIn(answer: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
  destroyOnAbort(answer, signal);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if ((size += chunk.length) > longestError) break; // closes the connection
    }
  } catch {
    signal?.throwIfAborted();
  }
  return Buffer.concat(chunks).toString();
}

/** Whether this is somebody else's page where S3 sends an XML document or nothing. */
function isForeign(status: number, headers: Headers, document: string): boolean {
  if (isNonS3Status(status)) return true;
  return document.trim() === '' ? isForeignHead(status, headers) : !mayBeProxied(status) && !isErrorDocument(document);
}

function valueIn(document: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]+)</${name}>`).exec(document)?.[1];
}

function regionIn(headers: Headers, document: string): string | undefined {
  const region = headers['x-amz-bucket-region'] ?? valueIn(document, 'Region');
  return region ?? /^(?:.+\.)?s3[.-]([a-z0-9-]+)\.amazonaws\.com/.exec(valueIn(document, 'Endpoint') ?? '')?.[1];
}
