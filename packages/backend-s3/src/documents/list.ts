import type { ListPage, ObjectSummary } from '@coffer/storage-core';

import { unquoted } from '../etag.ts';
import type { ListedBucket } from '../transport.ts';
import { dateOf, isCutShort, rootOf } from './answer.ts';
import { urlDecoded } from './url-encoding.ts';
import { childrenOf, MalformedXmlError, textOf } from './xml.ts';
import type { XmlElement } from './xml.ts';

// An object as AWS, Ceph, MinIO and most others write it, if its key needs no escapes but those of URLs.
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

/** Reads an answer to ListObjectsV2. */
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
  // If any object is written differently, all are read the slow way, so that they stay in order.
  const objects =
    childrenOf(root, 'Contents').length === 0 ? usual : childrenOf(rootOf(document, 'ListBucketResult'), 'Contents').map(summaryOf);
  const commonPrefixes = childrenOf(root, 'CommonPrefixes').flatMap((prefixes) => childrenOf(prefixes, 'Prefix').map(({ text }) => text));
  const isEncoded = textOf(root, 'EncodingType') === 'url'; // MinIO puts it after the objects
  if (isEncoded) for (const object of objects) object.key = urlDecoded(object.key);
  const page = { objects, commonPrefixes: isEncoded ? commonPrefixes.map(urlDecoded) : commonPrefixes };
  const next = textOf(root, 'NextContinuationToken');
  return { ...page, ...pageEnd(isCutShort(root, next), next) };
}

/** How a page ends. @throws {MalformedXmlError} if others follow, but the server does not say where they begin */
export function pageEnd(isTruncated: boolean, next = ''): Pick<ListPage, 'isTruncated' | 'nextContinuationToken'> {
  if (!isTruncated) return { isTruncated };
  if (next === '') throw new MalformedXmlError('more keys, but not where they begin');
  return { isTruncated, nextContinuationToken: next };
}

/** Bytes; longer than what precedes the objects: a prefix and two tokens, all encoded. */
const maxHeadBytes = 16 * 1024;

/**
 * The token of the next page, from the beginning of an answer to ListObjectsV2: AWS and MinIO put it before the objects. Undefined if it is
 * not there, whether or not there is a next page.
 */
export function nextTokenAtBeginning(beginning: Buffer): string | undefined {
  const text = beginning.toString('utf8', 0, maxHeadBytes);
  const end = text.search(/<(?:Contents|CommonPrefixes)>/);
  const head = `${text.slice(0, end)}</ListBucketResult>`;
  return end > 0 && head.includes('<IsTruncated>true<') ? nextTokenIn(head) : undefined;
}

/** Like `nextTokenAtBeginning`, from what follows the objects, where Ceph puts the token. */
export function nextTokenAtEnd(document: string): string | undefined {
  const end = Math.max(...['</Contents>', '</CommonPrefixes>'].map((tag) => document.lastIndexOf(tag) + tag.length));
  return nextTokenIn(`<ListBucketResult>${document.slice(end)}`);
}

function nextTokenIn(document: string): string | undefined {
  try {
    return textOf(rootOf(document, 'ListBucketResult'), 'NextContinuationToken') || undefined;
  } catch {
    return undefined; // the reader of the whole document will report it
  }
}

function summaryOf(object: XmlElement): ReadObject {
  const size = textOf(object, 'Size') ?? '0';
  if (!/^\d{1,16}$/.test(size)) throw new MalformedXmlError('a size that is no number');
  return {
    key: textOf(object, 'Key') ?? '',
    size: Number(size),
    etag: unquoted(textOf(object, 'ETag')),
    lastModified: dateOf(textOf(object, 'LastModified')),
    storageClass: textOf(object, 'StorageClass') || 'STANDARD',
  };
}

/** Reads an answer to ListBuckets. */
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
