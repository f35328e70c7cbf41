import type { LifecycleRule } from '@coffer/storage-core';

import type { Administration, CorsRule, ExistingCorsRule, ExistingRule, OpenUpload, Tag, UploadMarker } from '../administration.ts';
import type { ObjectVersion } from '../transport.ts';
import { dateOf, documentOf, element, isCutShort, subresourceOf } from './answer.ts';
import { urlDecoded } from './url-encoding.ts';
import { childrenOf, MalformedXmlError, parseXml, textOf, xmlOf } from './xml.ts';
import type { XmlElement } from './xml.ts';

/** The request of CreateBucket. */
export function locationDocument(region: string): string {
  return documentOf('CreateBucketConfiguration', element('LocationConstraint', region));
}

/** Reads an answer to GetBucketLocation. Empty for the region that has no LocationConstraint. */
export function locationFrom(answer: string): string {
  const root = subresourceOf(answer, 'LocationConstraint');
  return textOf(root, 'LocationConstraint') ?? root.text;
}

/** The request of PutBucketVersioning. */
export function versioningDocument(enabled: boolean): string {
  return documentOf('VersioningConfiguration', element('Status', enabled ? 'Enabled' : 'Suspended'));
}

/** Reads an answer to GetBucketVersioning: whether versioning is currently enabled. */
export function versioningFrom(answer: string): boolean {
  return textOf(subresourceOf(answer, 'VersioningConfiguration'), 'Status') === 'Enabled';
}

/** The same answer: it has a status from the first time on that versions were kept. */
export function keptVersionsFrom(answer: string): boolean {
  return (textOf(subresourceOf(answer, 'VersioningConfiguration'), 'Status') ?? '') !== '';
}

/** The request of PutBucketCors. Existing rules are written as the server returned them. */
export function corsDocument(rules: readonly (CorsRule | ExistingCorsRule)[]): string {
  const spelled = rules.map((rule) => ('raw' in rule ? xmlOf(rule.raw as XmlElement) : corsRuleOf(rule)));
  return documentOf('CORSConfiguration', spelled.join(''));
}

function corsRuleOf({ id, origins, methods, headers, exposed, maxAge }: CorsRule): string {
  const parts = [
    ...(id === undefined ? [] : [element('ID', id)]),
    ...origins.map((origin) => element('AllowedOrigin', origin)),
    ...methods.map((method) => element('AllowedMethod', method)),
    ...headers.map((header) => element('AllowedHeader', header)),
    ...exposed.map((header) => element('ExposeHeader', header)),
    element('MaxAgeSeconds', maxAge),
  ];
  return `<CORSRule>${parts.join('')}</CORSRule>`;
}

/** Reads an answer to GetBucketCors. */
export function corsFrom(answer: string): readonly ExistingCorsRule[] {
  return childrenOf(subresourceOf(answer, 'CORSConfiguration'), 'CORSRule').map((rule) => {
    const all = (name: string): readonly string[] => childrenOf(rule, name).map(({ text }) => text);
    return {
      id: all('ID')[0],
      origins: all('AllowedOrigin'),
      methods: all('AllowedMethod'),
      headers: all('AllowedHeader'),
      exposed: all('ExposeHeader'),
      raw: rule,
    };
  });
}

/** The request of PutBucketLifecycleConfiguration. Existing rules are written as the server returned them. */
export function rulesDocument(rules: readonly (LifecycleRule | ExistingRule)[]): string {
  const existing = rules.flatMap((rule) => ('raw' in rule ? [rule.raw as XmlElement] : []));
  // AWS does not accept rules with a filter beside rules of the older kind, whose prefix has none.
  const isOlder = existing.length > 0 && existing.every((rule) => textOf(rule, 'Prefix') !== undefined);
  const spelled = rules.map((rule) => ('raw' in rule ? xmlOf(rule.raw as XmlElement) : ruleOf(rule, isOlder)));
  return documentOf('LifecycleConfiguration', spelled.join(''));
}

function ruleOf({ id, prefix, expireDays, abortMultipartDays, transition }: LifecycleRule, isOlder: boolean): string {
  const keys = element('Prefix', prefix);
  const parts = [element('ID', id), isOlder ? keys : `<Filter>${keys}</Filter>`, element('Status', 'Enabled')];
  if (expireDays !== undefined) parts.push(`<Expiration>${element('Days', expireDays)}</Expiration>`);
  if (transition !== undefined) {
    const { days, storageClass } = transition;
    parts.push(`<Transition>${element('Days', days)}${element('StorageClass', storageClass)}</Transition>`);
  }
  if (abortMultipartDays !== undefined) {
    const days = element('DaysAfterInitiation', abortMultipartDays);
    parts.push(`<AbortIncompleteMultipartUpload>${days}</AbortIncompleteMultipartUpload>`);
  }
  return `<Rule>${parts.join('')}</Rule>`;
}

const narrowing = ['Tag', 'ObjectSizeGreaterThan', 'ObjectSizeLessThan'];

/** Reads an answer to GetBucketLifecycleConfiguration. */
export function rulesFrom(answer: string, smallObjects?: string): readonly ExistingRule[] {
  return childrenOf(subresourceOf(answer, 'LifecycleConfiguration'), 'Rule').map((rule) => {
    const expireDays = numberIn(rule, 'Expiration', 'Days');
    const abortMultipartDays = numberIn(rule, 'AbortIncompleteMultipartUpload', 'DaysAfterInitiation');
    const days = numberIn(rule, 'Transition', 'Days');
    const storageClass = textIn(rule, 'Transition', 'StorageClass');
    const filters = childrenOf(rule, 'Filter').flatMap((filter) => [filter, ...childrenOf(filter, 'And')]);
    return {
      id: textOf(rule, 'ID') ?? '',
      prefix: textIn(rule, 'Filter', 'Prefix') ?? textIn(rule, 'Filter', 'And', 'Prefix') ?? textOf(rule, 'Prefix') ?? '',
      ...(expireDays !== undefined && { expireDays }),
      ...(abortMultipartDays !== undefined && { abortMultipartDays }),
      ...(storageClass !== undefined && days !== undefined && { transition: { days, storageClass } }),
      isEnabled: textOf(rule, 'Status') === 'Enabled',
      isNarrower: narrowing.some((name) => filters.some((filter) => childrenOf(filter, name).length > 0)),
      ...(smallObjects !== undefined && { smallObjects }),
      raw: { ...rule, children: rule.children.map(withPrefixInAnd) },
    };
  });
}

/** Ceph tells a prefix beside `And`, where it reads none: written back like that, a rule for several tags would be about all keys. */
function withPrefixInAnd(filter: XmlElement): XmlElement {
  const [[prefix], [and]] = [childrenOf(filter, 'Prefix'), childrenOf(filter, 'And')];
  if (prefix === undefined || and === undefined) return filter;
  const others = and.children.filter(({ name }) => name !== 'Prefix');
  return { ...filter, children: [{ ...and, children: [prefix, ...others] }] };
}

/** The request of PutObjectTagging. */
export function taggingDocument(tags: readonly Tag[]): string {
  const spelled = tags.map(({ name, value }) => `<Tag>${element('Key', name)}${element('Value', value)}</Tag>`);
  return documentOf('Tagging', `<TagSet>${spelled.join('')}</TagSet>`);
}

/** Reads an answer to GetObjectTagging. */
export function tagsFrom(answer: string): readonly Tag[] {
  const tags = childrenOf(subresourceOf(answer, 'Tagging'), 'TagSet').flatMap((set) => childrenOf(set, 'Tag'));
  return tags.map((tag) => ({ name: textOf(tag, 'Key') ?? '', value: textOf(tag, 'Value') ?? '' }));
}

/** Reads an answer to ListObjectVersions. Google has versions in a list of another name, with a generation for their id. */
export function versionsFrom(answer: string): readonly ObjectVersion[] {
  const list = parseXml(answer);
  const root = childrenOf(list, 'Version').length > 0 ? list : subresourceOf(answer, 'ListVersionsResult');
  const decode = textOf(root, 'EncodingType') === 'url' ? urlDecoded : String;
  const versionsIn = (name: 'Version' | 'DeleteMarker'): readonly ObjectVersion[] =>
    childrenOf(root, name).flatMap((version) => {
      const [key, versionId] = [textOf(version, 'Key'), textOf(version, 'VersionId') ?? textOf(version, 'Generation')];
      return key === undefined ? [] : [{ key: decode(key), ...(versionId !== undefined && versionId !== '' && { versionId }) }];
    });
  return [...versionsIn('Version'), ...versionsIn('DeleteMarker').map((marker) => ({ ...marker, isMarker: true as const }))];
}

/** Reads an answer to ListMultipartUploads. */
export function uploadsFrom(answer: string, bucket: string): Awaited<ReturnType<Administration['listUploads']>> {
  const root = subresourceOf(answer, 'ListMultipartUploadsResult');
  const uploads = childrenOf(root, 'Upload').flatMap((upload) => {
    const [key, uploadId] = [textOf(upload, 'Key'), textOf(upload, 'UploadId')];
    if (key === undefined || uploadId === undefined) return [];
    return [{ at: { bucket, key }, uploadId, initiatedAt: dateOf(textOf(upload, 'Initiated')) }];
  });
  if (!isCutShort(root)) return { uploads };
  return { uploads, next: nextUpload(uploads, textOf(root, 'NextKeyMarker'), textOf(root, 'NextUploadIdMarker')) };
}

/** Where a list of uploads continues: after its last entry if the server does not say. @throws {MalformedXmlError} */
export function nextUpload(uploads: readonly OpenUpload[], key = '', uploadId = ''): UploadMarker {
  if (key !== '') return { key, ...(uploadId !== '' && { uploadId }) };
  const last = uploads.at(-1);
  if (last === undefined) throw new MalformedXmlError('more uploads, but not where they begin');
  return { key: last.at.key, uploadId: last.uploadId };
}

/** Reads an answer to ListParts. */
export function partsFrom(answer: string): Awaited<ReturnType<Administration['listParts']>> {
  const root = subresourceOf(answer, 'ListPartsResult');
  const parts = childrenOf(root, 'Part');
  const size = parts.reduce((sum, part) => sum + (numberIn(part, 'Size') ?? 0), 0);
  const latest = new Date(Math.max(0, ...parts.map((part) => dateOf(textOf(part, 'LastModified')).getTime())));
  if (!isCutShort(root)) return { size, latest };
  return { size, latest, next: nextPart(textOf(root, 'NextPartNumberMarker') || textOf(parts.at(-1) ?? root, 'PartNumber')) };
}

/** Where a list of parts continues. @throws {MalformedXmlError} if the server does not say */
export function nextPart(marker = ''): string {
  if (marker === '') throw new MalformedXmlError('more parts, but not where they begin');
  return marker;
}

/** The text of the descendant on this path, taking the first child of each name. */
function textIn(from: XmlElement, ...path: readonly string[]): string | undefined {
  return path.reduce<XmlElement | undefined>((at, name) => at && childrenOf(at, name)[0], from)?.text;
}

function numberIn(from: XmlElement, ...path: readonly string[]): number | undefined {
  const text = textIn(from, ...path);
  if (text === undefined) return undefined;
  if (!/^\s*\d{1,16}\s*$/.test(text)) throw new MalformedXmlError(`"${text}" where a number belongs`);
  return Number(text);
}
