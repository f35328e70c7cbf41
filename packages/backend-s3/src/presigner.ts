import type { ObjectAddress, PresignDownloadOptions, PresignedUpload, PresignUploadOptions } from '@coffer/storage-core';

/** Signs for the public endpoint, and sends nothing. The options are the caller's, with an expiry that holds. */
export interface Presigner {
  /** Seconds until the credentials expire; undefined when they do not. */
  secondsLeft(): Promise<number | undefined>;
  /** A form whose policy binds the key, the type and the size. */
  form(at: ObjectAddress, options: PresignUploadOptions): Promise<PresignedUpload>;
  /** The same for the endpoint that Coffer itself speaks to. */
  privateForm(at: ObjectAddress, options: PresignUploadOptions): Promise<PresignedUpload>;
  /** A URL whose signature covers the type and the length; the length is a header that browsers set by themselves. */
  putUrl(at: ObjectAddress, options: PresignUploadOptions): Promise<PresignedUpload>;
  getUrl(at: ObjectAddress, options: PresignDownloadOptions): Promise<string>;
}
