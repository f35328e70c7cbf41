import type { Readable } from 'node:stream';

import type { S3Client } from '@aws-sdk/client-s3';

import { AnswerError } from '../documents/answer-error.ts';
import { alternativeRootNames, assertNoObject, IgnoredParameterError, isErrorDocument } from '../documents/answer.ts';
import { MalformedXmlError, parseXml } from '../documents/xml.ts';
import {
  assertDocumentSize,
  assertNoPage,
  ForeignAnswerError,
  isForeignHead,
  isNonS3Status,
  mayBeProxied,
} from '../http/foreign-answer.ts';

/** Reads whose result may itself be a page. */
const objectReads: ReadonlySet<string> = new Set(['GetObjectCommand', 'HeadObjectCommand']);

/** Commands that succeed with a document, and the name of its root. */
const documents: Readonly<Record<string, string>> = {
  CompleteMultipartUploadCommand: 'CompleteMultipartUploadResult',
  CopyObjectCommand: 'CopyObjectResult',
  CreateMultipartUploadCommand: 'InitiateMultipartUploadResult',
  DeleteObjectsCommand: 'DeleteResult',
  GetBucketAclCommand: 'AccessControlPolicy',
  GetBucketCorsCommand: 'CORSConfiguration',
  GetBucketLifecycleConfigurationCommand: 'LifecycleConfiguration',
  GetBucketLocationCommand: 'LocationConstraint',
  GetBucketVersioningCommand: 'VersioningConfiguration',
  GetObjectAclCommand: 'AccessControlPolicy',
  GetObjectTaggingCommand: 'Tagging',
  ListBucketsCommand: 'ListAllMyBucketsResult',
  ListMultipartUploadsCommand: 'ListMultipartUploadsResult',
  ListObjectVersionsCommand: 'ListVersionsResult',
  ListObjectsV2Command: 'ListBucketResult',
  ListPartsCommand: 'ListPartsResult',
  UploadPartCopyCommand: 'CopyPartResult',
};

/** Commands that would read something else without their parameter. */
const subresourceReads = /^(?:Get|List(?!Buckets))/;

interface HttpResponse {
  statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  body: Readable | Uint8Array;
}

/**
 * The SDK accepts any answer as one of S3, and treats what is missing as absent: then nothing is listed, or everything counts as deleted.
 * This makes such answers fail, as they do without the SDK.
 */
export function validateAnswers(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const result = await next(args);
        const response = result.response as HttpResponse;
        const { statusCode, headers, body } = response;
        const isRefused = statusCode >= 300;
        const leadsAway = isNonS3Status(statusCode) || (commandName.startsWith('Head') && isForeignHead(statusCode, headers));
        if (leadsAway) throw dropped(body, new ForeignAnswerError(`The answer, ${statusCode}, leads elsewhere.`));
        if (isRefused && (mayBeProxied(statusCode) || commandName.startsWith('Head'))) return result; // a HEAD has no document
        const hasDocument = !isRefused && documents[commandName] !== undefined;
        let text = '';
        try {
          if (!isRefused && commandName === 'GetObjectAclCommand') assertNoObject(headers, 'acl');
          if (hasDocument) text = await documentIn(body as Readable);
          assertNoPage(statusCode, headers, !isRefused && objectReads.has(commandName), text);
        } catch (error) {
          throw dropped(body, error as Error);
        }
        const isEmpty = statusCode === 204 || headers['content-length'] === '0';
        if (isEmpty && documents[commandName] === undefined) return result;
        if (!isRefused && (objectReads.has(commandName) || commandName.startsWith('Head'))) return result;
        const document = hasDocument ? text : await documentIn(body as Readable);
        response.body = Buffer.from(document);
        if (isRefused) assertS3Error(statusCode, headers, document);
        else if (isErrorDocument(document)) response.statusCode = 503; // as if it had been an error from the start
        else assertRootName(document, commandName);
        return result;
      },
    { step: 'deserialize', name: 'answers', priority: 'low' },
  );
}

/** The SDK assigns metadata by name, which does nothing if that is `__proto__`. */
export function keepMetadata(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { Metadata: metadata } = result.output as { readonly Metadata?: object };
      const value = (result.response as HttpResponse).headers['x-amz-meta-__proto__'];
      if (metadata !== undefined && value !== undefined)
        Object.defineProperty(metadata, '__proto__', { value, enumerable: true, configurable: true, writable: true });
      return result;
    },
    { step: 'deserialize', name: 'metadata', priority: 'high' },
  );
}

/** @throws {ForeignAnswerError} if the error is not one of S3 */
function assertS3Error(status: number, headers: HttpResponse['headers'], document: string): void {
  if (new AnswerError(status, headers, document).name === 'NoS3AnswerError')
    throw new ForeignAnswerError(`The answer, ${status}, is in words of somebody's.`);
}

/** Checks the root of the document. Some servers name it after the command. */
function assertRootName(document: string, commandName: string): void {
  const root = documents[commandName];
  if (root === undefined) return;
  const { name } = parseXml(document);
  // Other commands have no parameter that could be ignored: to ListBuckets, the list of a bucket is the answer of a wrong address.
  if (name === 'ListBucketResult' && root !== name && subresourceReads.test(commandName))
    throw new IgnoredParameterError(`The answer is the list of the bucket where "${root}" belongs.`);
  const call = commandName.replace(/Command$/, '');
  const names = [
    root,
    alternativeRootNames[root],
    root.replace(/Result$/, 'Response'),
    `${call}Result`,
    `${call}Response`,
    ...(root === 'CopyPartResult' ? ['CopyObjectResult'] : []),
  ];
  if (!names.includes(name)) throw new MalformedXmlError(`"${name}" where "${root}" belongs`);
}

function dropped(body: HttpResponse['body'], error: Error): Error {
  (body as Readable).on('error', () => {}).destroy(); // nobody reads it, and this frees the socket
  return error;
}

/** @throws {ForeignAnswerError} if it is longer than any document of S3 */
async function documentIn(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    assertDocumentSize(size);
  }
  return Buffer.concat(chunks).toString();
}
