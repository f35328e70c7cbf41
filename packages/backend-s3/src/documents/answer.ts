import { MalformedXmlError, parseXml, textOf, xmlText } from './xml.ts';
import type { ReadChild, XmlElement } from './xml.ts';

/** A request document. */
export function documentOf(name: string, content: string): string {
  return `<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</${name}>`;
}

/** An element of a request document. */
export function element(name: string, text: string | number): string {
  return `<${name}>${xmlText(String(text))}</${name}>`;
}

/** Whether a list is continued. If IsTruncated says neither, a marker `next` means that it is. */
export function isCutShort(list: XmlElement, next = ''): boolean {
  const flag = (textOf(list, 'IsTruncated') ?? '').trim().toLowerCase();
  return flag === 'true' || (flag !== 'false' && next !== '');
}

/** Whether an answer that began with 200 turned into an error, as may happen to slow operations. */
export function isErrorDocument(document: string): boolean {
  return /^[^<]*(?:<\?[^?]*\?>\s*)?<Error[\s>]/.test(document);
}

/**
 * Names that moto uses for lack of another, gofakes3 (`rclone serve s3`) for uploads and versions, and SeaweedFS for a location, where it
 * sends the request of CreateBucket. The AWS SDKs check none of them.
 */
export const alternativeRootNames: Readonly<Record<string, string>> = {
  VersioningConfiguration: 'GetBucketVersioningResponse',
  InitiateMultipartUploadResult: 'InitiateMultipartUpload',
  ListPartsResult: 'ListPartsResponse',
  ListVersionsResult: 'ListBucketVersionsResult',
  LocationConstraint: 'CreateBucketConfiguration',
};

/**
 * A server that does not know the parameter of a request ignores it, and answers as if it were absent, with the list of a bucket or with an
 * object. Has the error name that S3 would use.
 */
export class IgnoredParameterError extends Error {
  override readonly name = 'NotImplemented';
}

/**
 * Look at the head first: an object may be longer than any document, and may be a page.
 * @throws IgnoredParameterError if the answer is the object itself
 */
export function assertNoObject({ etag }: Readonly<Record<string, unknown>>, name: string): void {
  if (etag !== undefined) throw new IgnoredParameterError(`The answer is the object where its "${name}" belongs.`);
}

/**
 * The root of the answer to a request for a subresource such as `acl`.
 * @throws IgnoredParameterError if the server ignored the parameter, MalformedXmlError
 */
export function subresourceOf(document: string, name: string): XmlElement {
  const root = parseXml(document);
  // Google has CORS rules of its own kind.
  if (root.name === 'CorsConfig') throw new IgnoredParameterError('The answer has CORS rules of another kind than those of S3.');
  if (root.name === 'ListBucketResult') throw new IgnoredParameterError(`The answer is the list of the bucket where "${name}" belongs.`);
  return withRootName(root, name);
}

/** The root of any other answer. @throws MalformedXmlError */
export function rootOf(document: string, name: string, readChild?: ReadChild): XmlElement {
  return withRootName(parseXml(document, readChild), name);
}

function withRootName(root: XmlElement, name: string): XmlElement {
  if (root.name !== name && root.name !== alternativeRootNames[name]) throw new MalformedXmlError(`"${root.name}" where "${name}" belongs`);
  return root;
}

export function dateOf(text: string | undefined): Date {
  const date = new Date(text ?? 0);
  if (Number.isNaN(date.getTime())) throw new MalformedXmlError('a time that is none');
  return date;
}
