import type { ObjectAddress, PresignDownloadOptions, PresignedUpload, PresignUploadOptions } from '@coffer/storage-core';

import type { ToldAcl } from './told-acl.ts';

/** The caller's, with an expiry that holds. */
export type UploadTerms = Omit<PresignUploadOptions, 'acl'> & {
  readonly acl?: ToldAcl;
  /** Of a URL: it signs a header that no copy can have. */
  readonly isGuarded?: boolean;
};

/** A directive that there is not: servers that would make a copy of a presigned PUT refuse it, and PUTs of bytes have none. */
export const guard = { name: 'x-amz-metadata-directive', value: 'NONE' } as const;

/** Signs for the public endpoint, and sends nothing. The expiry is one that holds. */
export interface Presigner {
  /** Seconds until the credentials expire; undefined when they do not. */
  secondsLeft(): Promise<number | undefined>;
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
