import type { Readable } from 'node:stream';

import type { Acl, ByteSink, CallContext, ListOptions, ListPage, ObjectAddress } from '@coffer/storage-core';

import type { AclHeader } from './acl-header.ts';

/** What a write says about the object besides its bytes. */
export interface WriteHeaders {
  readonly contentType: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly acl?: AclHeader;
  readonly storageClass?: string;
  readonly ifNoneMatch?: '*';
  /** Exactly as it is sent: servers differ about the quotes. */
  readonly ifMatch?: string;
  /** For the server to compare with the body. */
  readonly checksum?: { readonly algorithm: 'crc32' | 'sha256'; readonly base64: string };
}

/** Checksums that are already known, in lower-case hex. The server verifies them too. */
export interface KnownSums {
  readonly sha256?: string;
  readonly md5?: string;
}

/** Bytes in memory can be sent again; a stream has only one attempt. */
type Payload = KnownSums &
  ({ readonly kind: 'buffer'; readonly data: Uint8Array } | { readonly kind: 'stream'; readonly stream: Readable; readonly size: number });

export interface ReadHeaders {
  readonly range?: string;
  /** Without quotes, as is `ifNoneMatch`. */
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  readonly ifModifiedSince?: Date;
  readonly ifUnmodifiedSince?: Date;
  /** Default: the current version. */
  readonly versionId?: string;
}

/** What the provider reports about an object. */
export interface ObjectHeaders {
  /** Bytes of the body that comes with it; undefined if not known beforehand. */
  readonly contentLength: number | undefined;
  readonly contentRange?: string;
  /** Without quotes. */
  readonly etag: string;
  /** Whether the rest of exactly these bytes can be requested separately. */
  readonly isResumable: boolean;
  readonly contentType: string;
  /** See `ObjectInfo`. */
  readonly contentEncoding?: string;
  readonly lastModified: Date;
  readonly storageClass: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly versionId?: string;
}

/** The result of a read whose condition fails with 304. */
export interface NotModified {
  readonly kind: 'not_modified';
  readonly etag?: string;
  readonly lastModified?: Date;
}

export interface Written {
  /** Without quotes. */
  readonly etag: string;
  readonly versionId?: string;
}

/** Headers of an object that only copies carry over. */
export interface CarriedHeaders {
  readonly cacheControl?: string | undefined;
  readonly contentDisposition?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly contentLanguage?: string | undefined;
  /** As it was written, which need not be a date. */
  readonly expires?: string | undefined;
  /** Where the website of the bucket leads who asks for the object. */
  readonly websiteRedirect?: string | undefined;
}

/** An object that the provider copies, on condition that its ETag (without quotes) is `ifMatch`. */
export type CopySource = ObjectAddress & { readonly ifMatch?: string };

export interface CopyHeaders extends Pick<WriteHeaders, 'acl' | 'storageClass' | 'ifNoneMatch'> {
  /** Replaces everything that the source has. */
  readonly replaced?: Pick<WriteHeaders, 'contentType' | 'metadata'> & CarriedHeaders;
}

export interface Upload {
  readonly at: ObjectAddress;
  readonly uploadId: string;
}

export interface SentPart {
  readonly number: number;
  /** Without quotes. */
  readonly etag: string;
  /** Base64: AWS requires the checksums that came with the parts again. */
  readonly crc32?: string;
}

export interface ObjectVersion {
  readonly key: string;
  readonly versionId?: string;
  /** A delete marker: without it, the version below it would be the object again. */
  readonly isMarker?: true;
}

/** Which object is deleted of those that have had a key. */
interface DeleteOnly {
  /** A single version instead of the current one. */
  readonly versionId?: string | undefined;
  /** The current one while it has this ETag (without quotes). AWS refuses it beside `versionId`. */
  readonly ifMatch?: string | undefined;
}

export interface ListedBucket {
  readonly name: string;
  readonly createdAt: Date;
  readonly region?: string;
}

/** The calls that carry bytes or are made often. All of them reject as `call` does. */
export interface Transport {
  put(at: ObjectAddress, payload: Payload, headers: WriteHeaders & CarriedHeaders, ctx: CallContext): Promise<Written>;
  get(
    at: ObjectAddress,
    headers: ReadHeaders,
    ctx: CallContext,
  ): Promise<
    | {
        readonly kind: 'object';
        readonly headers: ObjectHeaders;
        /** An AnswerBody while it is still arriving; otherwise the body is in memory and holds no socket. */
        readonly body: Readable;
      }
    | NotModified
  >;
  /** `tagCount` is 0 also if the credentials may not see tags. */
  head(at: ObjectAddress, ctx: CallContext): Promise<ObjectHeaders & { readonly carried: CarriedHeaders; readonly tagCount: number }>;
  getAcl(at: ObjectAddress, ctx: CallContext): Promise<Acl>;
  copy(from: CopySource, to: ObjectAddress, headers: CopyHeaders, ctx: CallContext): Promise<Written>;
  /**
   * Like `get`, but into a sink; only if the driver has such a way. Rejects with errors of `begin` and of the sink as `call` does. Resolves
   * to false if nothing was done, because it needs a socket of its own and all are in use.
   */
  readonly pull?: (
    at: ObjectAddress,
    headers: Pick<ReadHeaders, 'range' | 'ifMatch'>,
    into: { /** Before any byte. */ readonly begin: (headers: ObjectHeaders) => void; readonly sink: ByteSink },
    ctx: CallContext,
  ) => Promise<boolean>;
  delete(at: ObjectAddress, ctx: CallContext, only?: DeleteOnly): Promise<void>;
  /** @returns what was not deleted, with the provider's error names */
  deleteBatch(
    bucket: string,
    objects: readonly ObjectVersion[],
    ctx: CallContext,
  ): Promise<readonly { readonly key: string; readonly name: string }[]>;

  /** @returns the id of the upload */
  createUpload(
    at: ObjectAddress,
    headers: Omit<WriteHeaders, 'ifMatch' | 'ifNoneMatch'> & CarriedHeaders,
    ctx: CallContext,
  ): Promise<string>;
  uploadPart(
    part: Upload & Pick<KnownSums, 'sha256'> & { readonly number: number },
    data: Uint8Array,
    ctx: CallContext,
  ): Promise<Omit<SentPart, 'number'>>;
  copyPart(
    from: CopySource & { readonly range: string },
    part: Upload & { readonly number: number },
    ctx: CallContext,
  ): Promise<Omit<SentPart, 'number'>>;
  /** Not every server reports the ETag: it may be empty. */
  completeUpload(
    upload: Upload,
    parts: readonly SentPart[],
    conditions: Pick<WriteHeaders, 'ifMatch' | 'ifNoneMatch'>,
    ctx: CallContext,
  ): Promise<Written>;
  abortUpload(upload: Upload, ctx: CallContext): Promise<void>;

  /** @param options `startAfter`, instead of a token: list keys after it */
  list(bucket: string, options: ListOptions & { readonly startAfter?: string }, ctx: CallContext): Promise<ListPage>;
  /** The region, if the provider reports it. */
  headBucket(bucket: string, ctx: CallContext): Promise<string | undefined>;
  listBuckets(
    options: { readonly maxBuckets?: number; readonly prefix?: string; readonly continuationToken?: string },
    ctx: CallContext,
  ): Promise<{ readonly buckets: readonly ListedBucket[]; readonly continuationToken?: string }>;
}
