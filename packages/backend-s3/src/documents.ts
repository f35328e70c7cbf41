import type { Permission } from '@aws-sdk/client-s3';
import type { ListPage, ObjectSummary } from '@coffer/storage-core';

import { bare, etagOf } from './etag.ts';
import type { AclDocument } from './grants.ts';
import type { ListedBucket, ObjectVersion, SentPart } from './transport.ts';
import { urlDecoded } from './url-encoding.ts';
import { childrenOf, MalformedXmlError, parseXml, textOf, xmlText } from './xml.ts';
import type { ReadChild, XmlElement } from './xml.ts';

/** A request. */
export function documentOf(name: string, content: string): string {
  return `<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</${name}>`;
}

/** Of such a request. */
export function element(name: string, text: string | number): string {
  return `<${name}>${xmlText(String(text))}</${name}>`;
}

// As AWS, Ceph, MinIO and most others write an object, whose key needs no other escapes than those of URLs.
const usualObject = new RegExp(
  [
    '<Contents><Key>([^<&]*)</Key><LastModified>([^<&]*)</LastModified><ETag>(?:"|&quot;|&#34;)([^<&"]*)(?:"|&quot;|&#34;)</ETag>',
    String.raw`(?:<Checksum(Algorithm|Type)>\w*</Checksum\4>)*<Size>(\d{1,16})</Size>`,
    String.raw`(?:<Owner>(?:<(ID|DisplayName)>[^<&]*</\6>)*</Owner>)?<StorageClass>(\w+)</StorageClass>`,
    String.raw`(?:<Owner>(?:<(ID|DisplayName)>[^<&]*</\8>)*</Owner>)?(?:<Type>\w*</Type>)?</Contents>`,
  ].join(''),
  'y',
);

type ReadObject = { -readonly [Name in keyof ObjectSummary]: ObjectSummary[Name] };

/** An answer of ListObjectsV2. */
export function listPageFrom(document: string): ListPage {
  const usual: ReadObject[] = [];
  const root = rootOf(document, 'ListBucketResult', (text, at) => {
    usualObject.lastIndex = at;
    const found = usualObject.exec(text);
    if (found === null) return at;
    const [, key = '', lastModified, etag = '', , size, , storageClass = ''] = found;
    usual.push({ key, size: Number(size), etag, lastModified: dateOf(lastModified), storageClass });
    return usualObject.lastIndex;
  });
  // One that is not written so makes all be read the long way, so that they stay in order.
  const objects =
    childrenOf(root, 'Contents').length === 0 ? usual : childrenOf(rootOf(document, 'ListBucketResult'), 'Contents').map(summaryOf);
  const commonPrefixes = childrenOf(root, 'CommonPrefixes').flatMap((prefixes) => childrenOf(prefixes, 'Prefix').map(({ text }) => text));
  const isEncoded = textOf(root, 'EncodingType') === 'url'; // MinIO tells behind them
  if (isEncoded) for (const object of objects) object.key = urlDecoded(object.key);
  const page = { objects, commonPrefixes: isEncoded ? commonPrefixes.map(urlDecoded) : commonPrefixes };
  const next = textOf(root, 'NextContinuationToken');
  if (!isCutShort(root, next)) return { ...page, isTruncated: false };
  if (next === undefined || next === '') throw new MalformedXmlError('more keys, and no word of where they begin');
  return { ...page, isTruncated: true, nextContinuationToken: next };
}

/** Whether a list goes on. Where it does not say so either way, a word of where it does says as much. */
export function isCutShort(list: XmlElement, next = ''): boolean {
  const told = (textOf(list, 'IsTruncated') ?? '').trim().toLowerCase();
  return told === 'true' || (told !== 'false' && next !== '');
}

/** Longer than what stands before the objects: a prefix and two tokens, all encoded. */
const longestBeginning = 16 * 1024;

/**
 * Where the next page begins, out of the beginning of an answer of ListObjectsV2: AWS and MinIO tell it before the objects.
 * Undefined where it is not there, whether there is one or not.
 */
export function nextTokenAtBeginning(beginning: Buffer): string | undefined {
  const text = beginning.toString('utf8', 0, longestBeginning);
  const end = text.search(/<(?:Contents|CommonPrefixes)>/);
  const told = `${text.slice(0, end)}</ListBucketResult>`;
  return end > 0 && told.includes('<IsTruncated>true<') ? nextTokenIn(told) : undefined;
}

/** The same out of what stands behind the objects, where Ceph tells it. */
export function nextTokenAtEnd(document: string): string | undefined {
  const end = Math.max(...['</Contents>', '</CommonPrefixes>'].map((tag) => document.lastIndexOf(tag) + tag.length));
  return nextTokenIn(`<ListBucketResult>${document.slice(end)}`);
}

function nextTokenIn(document: string): string | undefined {
  try {
    return textOf(rootOf(document, 'ListBucketResult'), 'NextContinuationToken') || undefined;
  } catch {
    return undefined; // whoever reads all of it will say so
  }
}

function summaryOf(object: XmlElement): ReadObject {
  const size = textOf(object, 'Size') ?? '0';
  if (!/^\d{1,16}$/.test(size)) throw new MalformedXmlError('a size that is no number');
  return {
    key: textOf(object, 'Key') ?? '',
    size: Number(size),
    etag: bare(textOf(object, 'ETag')),
    lastModified: dateOf(textOf(object, 'LastModified')),
    storageClass: textOf(object, 'StorageClass') || 'STANDARD',
  };
}

/** An answer of ListBuckets. */
export function bucketsFrom(document: string): { readonly buckets: readonly ListedBucket[]; readonly continuationToken?: string } {
  const root = rootOf(document, 'ListAllMyBucketsResult');
  const listed = childrenOf(root, 'Buckets').flatMap((buckets) => childrenOf(buckets, 'Bucket'));
  const buckets = listed.flatMap((bucket) => {
    const name = textOf(bucket, 'Name');
    const region = textOf(bucket, 'BucketRegion');
    return name === undefined ? [] : [{ name, createdAt: dateOf(textOf(bucket, 'CreationDate')), ...(region !== undefined && { region }) }];
  });
  const next = textOf(root, 'ContinuationToken');
  return next === undefined || next === '' ? { buckets } : { buckets, continuationToken: next };
}

/** A request of DeleteObjects: what goes well is not told. */
export function deleteDocument(objects: readonly ObjectVersion[]): string {
  const listed = objects.map(({ key, versionId }) => {
    const version = versionId === undefined ? '' : element('VersionId', versionId);
    return `<Object>${element('Key', key)}${version}</Object>`;
  });
  return documentOf('Delete', `${listed.join('')}<Quiet>true</Quiet>`);
}

/** The errors in an answer of DeleteObjects. */
export function failuresFrom(document: string): readonly { readonly key: string; readonly name: string }[] {
  const errors = childrenOf(rootOf(document, 'DeleteResult'), 'Error');
  return errors.map((error) => ({ key: textOf(error, 'Key') ?? '', name: textOf(error, 'Code') ?? '' }));
}

/** The id in an answer of CreateMultipartUpload. */
export function uploadIdFrom(document: string): string {
  return uploadIdOf(textOf(rootOf(document, 'InitiateMultipartUploadResult'), 'UploadId'));
}

/** @throws {MalformedXmlError} */
export function uploadIdOf(told: string | undefined): string {
  if (told === undefined || told === '') throw new MalformedXmlError('an upload without an id');
  return told;
}

/** An answer of CopyObject or UploadPartCopy; the ETag is bare. */
export function copiedFrom(document: string): Omit<SentPart, 'number'> {
  const root = parseXml(document);
  if (!/^Copy(?:Object|Part)Result$/.test(root.name)) throw new MalformedXmlError(`"${root.name}" where the copy belongs`);
  const crc32 = textOf(root, 'ChecksumCRC32');
  return { etag: etagOf(textOf(root, 'ETag')), ...(crc32 !== undefined && { crc32 }) };
}

/** An answer of GetObjectAcl, as the SDK would have it. */
export function aclDocumentFrom(document: string): AclDocument {
  const root = subresourceOf(document, 'AccessControlPolicy');
  const grants = childrenOf(root, 'AccessControlList').flatMap((list) => childrenOf(list, 'Grant'));
  return {
    Owner: firstOf(root, 'Owner', (owner) => ({ ID: textOf(owner, 'ID'), DisplayName: textOf(owner, 'DisplayName') })),
    Grants: grants.map((grant) => ({
      Grantee: firstOf(grant, 'Grantee', (grantee) => {
        const URI = textOf(grantee, 'URI');
        // Of the attribute that tells the type, this says as much.
        return {
          Type: URI === undefined ? 'CanonicalUser' : 'Group',
          URI,
          ID: textOf(grantee, 'ID'),
          DisplayName: textOf(grantee, 'DisplayName'),
        };
      }),
      Permission: textOf(grant, 'Permission') as Permission | undefined,
    })),
  };
}

function firstOf<T>(parent: XmlElement, name: string, read: (child: XmlElement) => T): T | undefined {
  const [child] = childrenOf(parent, name);
  return child && read(child);
}

/** A request of CompleteMultipartUpload. */
export function completeDocument(parts: readonly SentPart[]): string {
  const listed = parts.map(({ number, etag, crc32 }) => {
    const checksum = crc32 === undefined ? '' : element('ChecksumCRC32', crc32);
    return `<Part>${element('PartNumber', number)}<ETag>&quot;${xmlText(etag)}&quot;</ETag>${checksum}</Part>`;
  });
  return documentOf('CompleteMultipartUpload', listed.join(''));
}

/** The ETag in an answer of CompleteMultipartUpload, bare; empty where there is none. */
export function completedEtagFrom(document: string): string {
  return bare(textOf(rootOf(document, 'CompleteMultipartUploadResult'), 'ETag'));
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

function rootOf(document: string, name: string, readChild?: ReadChild): XmlElement {
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
