import { etagOf, unquoted } from '../etag.ts';
import type { ObjectVersion, SentPart } from '../transport.ts';
import { documentOf, element, rootOf } from './answer.ts';
import { childrenOf, MalformedXmlError, parseXml, textOf, xmlText } from './xml.ts';

/** The request of DeleteObjects, whose answer lists only failures. */
export function deleteDocument(objects: readonly ObjectVersion[]): string {
  return documentOf('Delete', `${objects.map(deletionOf).join('')}<Quiet>true</Quiet>`);
}

/** An object in the request of DeleteObjects. */
export function deletionOf({ key, versionId }: ObjectVersion): string {
  const version = versionId === undefined ? '' : element('VersionId', versionId);
  return `<Object>${element('Key', key)}${version}</Object>`;
}

/** The errors in an answer to DeleteObjects. */
export function failuresFrom(document: string): readonly { readonly key: string; readonly name: string }[] {
  const errors = childrenOf(rootOf(document, 'DeleteResult'), 'Error');
  return errors.map((error) => ({ key: textOf(error, 'Key') ?? '', name: textOf(error, 'Code') ?? '' }));
}

/** The id in an answer to CreateMultipartUpload. */
export function uploadIdFrom(document: string): string {
  return uploadIdOf(textOf(rootOf(document, 'InitiateMultipartUploadResult'), 'UploadId'));
}

/** @throws {MalformedXmlError} if there is none */
export function uploadIdOf(id: string | undefined): string {
  if (id === undefined || id === '') throw new MalformedXmlError('an upload without an id');
  return id;
}

/** Reads an answer to CopyObject or UploadPartCopy. The ETag has no quotes. */
export function copiedFrom(document: string): Omit<SentPart, 'number'> {
  const root = parseXml(document);
  if (!/^Copy(?:Object|Part)Result$/.test(root.name)) throw new MalformedXmlError(`"${root.name}" where the copy belongs`);
  const crc32 = textOf(root, 'ChecksumCRC32');
  return { etag: etagOf(textOf(root, 'ETag')), ...(crc32 !== undefined && { crc32 }) };
}

/** The request of CompleteMultipartUpload. */
export function completeDocument(parts: readonly SentPart[]): string {
  const listed = parts.map(({ number, etag, crc32 }) => {
    const checksum = crc32 === undefined ? '' : element('ChecksumCRC32', crc32);
    return `<Part>${element('PartNumber', number)}<ETag>&quot;${xmlText(etag)}&quot;</ETag>${checksum}</Part>`;
  });
  return documentOf('CompleteMultipartUpload', listed.join(''));
}

/** The ETag in an answer to CompleteMultipartUpload, without quotes; empty if there is none. */
export function completedEtagFrom(document: string): string {
  return unquoted(textOf(rootOf(document, 'CompleteMultipartUploadResult'), 'ETag'));
}
