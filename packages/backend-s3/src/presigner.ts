import type { ObjectAddress, PresignDownloadOptions, PresignedUpload, PresignUploadOptions } from '@coffer/storage-core';

import type { Settings } from './settings.ts';
import type { ToldAcl } from './told-acl.ts';

/** The caller's, with an expiry that holds. */
export type UploadTerms = Omit<PresignUploadOptions, 'acl'> & {
  readonly acl?: ToldAcl;
  /** Of a URL: it signs headers that no copy can have. */
  readonly isGuarded?: boolean;
};

/** Signs for one endpoint, and sends nothing. */
export interface Presigner {
  /** A form whose policy binds the key, the type and the size. */
  form(at: ObjectAddress, options: UploadTerms): Promise<PresignedUpload>;
  /** A URL whose signature covers the type and the length; the length is a header that browsers set by themselves. */
  putUrl(at: ObjectAddress, options: UploadTerms): Promise<PresignedUpload>;
  getUrl(at: ObjectAddress, options: PresignDownloadOptions): Promise<string>;
}

/** The server has two addresses: the one that Coffer sends its requests to, and the one that clients reach. */
export interface Presigners {
  readonly internal: Presigner;
  readonly public: Presigner;
}

/** @param signFor makes the presigner of an endpoint; called once where both addresses are the same */
export function presignersOf(
  { endpoint, publicEndpoint }: Pick<Settings, 'endpoint' | 'publicEndpoint'>,
  signFor: (endpoint: string | undefined) => Presigner,
): Presigners {
  const internal = signFor(endpoint);
  return { internal, public: publicEndpoint === endpoint ? internal : signFor(publicEndpoint) };
}

/**
 * A directive and a range that there are not: servers that would make a copy of a presigned PUT refuse them, and PUTs of bytes have
 * none. Ceph looks at the directive only where there is no range.
 */
const guards = { 'x-amz-copy-source-range': 'NONE', 'x-amz-metadata-directive': 'NONE' };

/**
 * The headers of S3 that a presigned PUT has to be sent with, in order of their names. They are not in the query, because some servers
 * overlook them there.
 */
export function signedHeaders({ acl, storageClass, isGuarded = false }: UploadTerms): Readonly<Record<string, string>> {
  return {
    ...(acl !== undefined && { 'x-amz-acl': acl }),
    ...(isGuarded && guards),
    ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
  };
}

/** What a client is told of a presigned PUT. */
export function presignedPut(url: string, terms: UploadTerms): PresignedUpload {
  const { contentType, expiresIn } = terms;
  const type = contentType === undefined ? {} : { 'Content-Type': contentType };
  return { method: 'PUT', url, fields: {}, headers: { ...type, ...signedHeaders(terms) }, expiresIn };
}
