import { MalformedXmlError, parseXml, textOf, xmlText } from './xml.ts';
import type { ReadChild, XmlElement } from './xml.ts';

/** A request. */
export function documentOf(name: string, content: string): string {
  return `<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</${name}>`;
}

/** Of such a request. */
export function element(name: string, text: string | number): string {
  return `<${name}>${xmlText(String(text))}</${name}>`;
}

/** Whether a list goes on. Where it does not say so either way, a word of where it does says as much. */
export function isCutShort(list: XmlElement, next = ''): boolean {
  const told = (textOf(list, 'IsTruncated') ?? '').trim().toLowerCase();
  return told === 'true' || (told !== 'false' && next !== '');
}

/** Whether an answer that began with 200 became an error, as may happen to those that take long. */
export function isErrorDocument(document: string): boolean {
  return /^[^<]*(?:<\?[^?]*\?>\s*)?<Error[\s>]/.test(document);
}

/** As moto names what it has no other name for, and gofakes3 (`rclone serve s3`) uploads and versions; the AWS SDKs look at none. */
export const otherNames: Readonly<Record<string, string>> = {
  VersioningConfiguration: 'GetBucketVersioningResponse',
  InitiateMultipartUploadResult: 'InitiateMultipartUpload',
  ListPartsResult: 'ListPartsResponse',
  ListVersionsResult: 'ListBucketVersionsResult',
};

/**
 * A server that does not know the parameter which a request is about passes over it, and answers as without: with the list of a
 * bucket, or an object. In the name of what S3 says then.
 */
export class PassedOverError extends Error {
  override readonly name = 'NotImplemented';
}

/** The root of what a parameter such as `acl` asks for. @throws PassedOverError */
export function subresourceOf(document: string, name: string): XmlElement {
  const root = parseXml(document);
  if (root.name === 'ListBucketResult') throw new PassedOverError(`The answer is the list of the bucket where "${name}" belongs.`);
  return named(root, name);
}

/** The root of any other answer. */
export function rootOf(document: string, name: string, readChild?: ReadChild): XmlElement {
  return named(parseXml(document, readChild), name);
}

function named(root: XmlElement, name: string): XmlElement {
  if (root.name !== name && root.name !== otherNames[name]) throw new MalformedXmlError(`"${root.name}" where "${name}" belongs`);
  return root;
}

export function dateOf(text: string | undefined): Date {
  const date = new Date(text ?? 0);
  if (Number.isNaN(date.getTime())) throw new MalformedXmlError('a time that is none');
  return date;
}
