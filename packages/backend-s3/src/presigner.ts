import type { ObjectAddress, PresignDownloadOptions, PresignedUpload, PresignUploadOptions } from '@coffer/storage-core';

import type { AclHeader } from './acl-header.ts';
import type { Settings } from './settings.ts';

/** The caller's options, with an expiry that the credentials allow. */
export type UploadTerms = Omit<PresignUploadOptions, 'acl'> & {
  readonly acl?: AclHeader;
  /** Signs headers that no copy can have; only for URLs. */
  readonly isGuarded?: boolean;
};

/** Signs for one endpoint. Sends nothing. */
export interface Presigner {
  /** A form whose policy binds the key, the type and the size. */
  form(at: ObjectAddress, options: UploadTerms): Promise<PresignedUpload>;
  /** A URL whose signature covers the type and the length. Browsers set the length header by themselves. */
  putUrl(at: ObjectAddress, options: UploadTerms): Promise<PresignedUpload>;
  getUrl(at: ObjectAddress, options: PresignDownloadOptions): Promise<string>;
}

/** A server has two addresses: the one that Coffer sends its requests to, and the one that clients reach. */
export interface Presigners {
  readonly internal: Presigner;
  readonly public: Presigner;
}

/** @param signFor creates the presigner of an endpoint; called once if both addresses are the same */
export function presignersOf(
  { endpoint, publicEndpoint }: Pick<Settings, 'endpoint' | 'publicEndpoint'>,
  signFor: (endpoint: string | undefined) => Presigner,
): Presigners {
  const internal = signFor(endpoint);
  return { internal, public: publicEndpoint === endpoint ? internal : signFor(publicEndpoint) };
}

/**
 * An invalid directive and an invalid range. Servers that would turn a presigned PUT into a copy refuse them; PUTs of bytes ignore them.
 * Ceph looks at the directive only if there is no range.
 */
const guards = { 'x-amz-copy-source-range': 'NONE', 'x-amz-metadata-directive': 'NONE' };

/**
 * The S3 headers that a presigned PUT has to be sent with, sorted by name. They are not in the query, because some servers overlook them
 * there.
 */
export function signedHeaders({ acl, storageClass, isGuarded = false }: UploadTerms): Readonly<Record<string, string>> {
  return {
    ...(acl !== undefined && { 'x-amz-acl': acl }),
    ...(isGuarded && guards),
    ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
  };
}

/** What a client needs to know about a presigned PUT. */
export function presignedPut(url: string, terms: UploadTerms): PresignedUpload {
  const { contentType, expiresIn } = terms;
  const type = contentType === undefined ? {} : { 'Content-Type': contentType };
  return { method: 'PUT', url, fields: {}, headers: { ...type, ...signedHeaders(terms) }, expiresIn };
}
