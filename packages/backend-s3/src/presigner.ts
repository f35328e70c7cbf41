import type { ObjectAddress, PresignDownloadOptions, PresignedUpload, PresignUploadOptions } from '@coffer/storage-core';

import type { ToldAcl } from './told-acl.ts';

/** The caller's, with an expiry that holds. */
export type UploadTerms = Omit<PresignUploadOptions, 'acl'> & {
  readonly acl?: ToldAcl;
  /** Of a URL: it signs headers that no copy can have. */
  readonly isGuarded?: boolean;
};

/**
 * A directive and a range that there are not: servers that would make a copy of a presigned PUT refuse them, and PUTs of bytes have
 * none. Ceph looks at the directive only where there is no range.
 */
export const guards: Readonly<Record<string, string>> = { 'x-amz-copy-source-range': 'NONE', 'x-amz-metadata-directive': 'NONE' };

/** Signs for the public endpoint, and sends nothing. The expiry is one that holds. */
export interface Presigner {
  /** A form whose policy binds the key, the type and the size. */
  form(at: ObjectAddress, options: UploadTerms): Promise<PresignedUpload>;
  /** The same for the endpoint that Coffer itself speaks to. */
  privateForm(at: ObjectAddress, options: UploadTerms): Promise<PresignedUpload>;
  /** A URL whose signature covers the type and the length; the length is a header that browsers set by themselves. */
  putUrl(at: ObjectAddress, options: UploadTerms): Promise<PresignedUpload>;
  /** The same for the endpoint that Coffer itself speaks to. */
  privatePutUrl(at: ObjectAddress, options: UploadTerms): Promise<PresignedUpload>;
  getUrl(at: ObjectAddress, options: PresignDownloadOptions): Promise<string>;
}
