import type { Readable } from 'node:stream';

import type { Acl, ByteSink, CallContext, ListOptions, ListPage, ObjectAddress } from '@coffer/storage-core';

import type { ToldAcl } from './told-acl.ts';

/** What a write says about the object beside its bytes. */
export interface WriteHeaders {
  readonly contentType: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly acl?: ToldAcl;
  readonly storageClass?: string;
  readonly ifNoneMatch?: '*';
  /** As it is to be sent: servers differ about the quotes. */
  readonly ifMatch?: string;
  /** For the server to compare with the body. */
  readonly checksum?: { readonly algorithm: 'crc32' | 'sha256'; readonly base64: string };
}

/** Sums that are known already, in lower-case hex: the server verifies them, too. */
export interface KnownSums {
  readonly sha256?: string;
  readonly md5?: string;
}

/** Bytes in memory can be sent again; a stream has just one attempt. */
type Payload = KnownSums &
  ({ readonly kind: 'buffer'; readonly data: Uint8Array } | { readonly kind: 'stream'; readonly stream: Readable; readonly size: number });

export interface ReadHeaders {
  readonly range?: string;
  /** Bare. */
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  readonly ifModifiedSince?: Date;
  readonly ifUnmodifiedSince?: Date;
  /** Default: the current one. */
  readonly versionId?: string;
}

/** What the provider tells of an object. */
export interface ObjectHeaders {
  /** Bytes of the body that comes with it; undefined where that is not told beforehand. */
  readonly contentLength: number | undefined;
  readonly contentRange?: string;
  /** Bare. */
  readonly etag: string;
  /** Whether the rest of the very bytes can be asked for by itself. */
  readonly isResumable?: boolean;
  readonly contentType: string;
  /** See `ObjectInfo`. */
  readonly contentEncoding?: string;
  readonly lastModified: Date;
  readonly storageClass: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly versionId?: string;
}

/** What a read gives whose condition fails with 304. */
export interface NotModified {
  readonly kind: 'not_modified';
  readonly etag?: string;
  readonly lastModified?: Date;
}

export interface Written {
  /** Bare. */
  readonly etag: string;
  readonly versionId?: string;
}

/** Headers of an object that only copies carry. */
export interface CarriedHeaders {
  readonly cacheControl?: string | undefined;
  readonly contentDisposition?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly contentLanguage?: string | undefined;
  /** As it was written, which need not be a date. */
  readonly expires?: string | undefined;
}

/** An object that is copied by the provider, as long as its ETag, bare, is this one. */
export type CopySource = ObjectAddress & { readonly ifMatch?: string };

export interface CopyHeaders extends Pick<WriteHeaders, 'acl' | 'storageClass' | 'ifNoneMatch'> {
  /** In the place of what the source has, all of it. */
  readonly replaced?: Pick<WriteHeaders, 'contentType' | 'metadata'> & CarriedHeaders;
}

/** A multipart upload. */
export interface Upload {
  readonly at: ObjectAddress;
  readonly uploadId: string;
}

export interface SentPart {
  readonly number: number;
  /** Bare. */
  readonly etag: string;
  /** Base64: AWS wants the checksums again that came with the parts. */
  readonly crc32?: string;
}

export interface ObjectVersion {
  readonly key: string;
  readonly versionId?: string;
}

export interface ListedBucket {
  readonly name: string;
  readonly createdAt: Date;
  readonly region?: string;
}

/** The calls that carry bytes, or are made often. All reject as `call` does. */
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
        /** An AnswerBody while it arrives; else it is in memory, and holds no socket. */
        readonly body: Readable;
      }
    | NotModified
  >;
  /** `tagCount` is 0 also for those who may not see tags. */
  head(at: ObjectAddress, ctx: CallContext): Promise<ObjectHeaders & { readonly carried: CarriedHeaders; readonly tagCount: number }>;
  getAcl(at: ObjectAddress, ctx: CallContext): Promise<Acl>;
  copy(from: CopySource, to: ObjectAddress, headers: CopyHeaders, ctx: CallContext): Promise<Written>;
  /**
   * As `get`, but into a sink; where there is such a way. What `begin` or the sink throw comes back as `call` has it. False
   * when nothing was done: all sockets are in use, and this needs one of its own.
   */
  readonly pull?: (
    at: ObjectAddress,
    headers: Pick<ReadHeaders, 'range' | 'ifMatch'>,
    into: { /** Before any byte. */ readonly begin: (headers: ObjectHeaders) => void; readonly sink: ByteSink },
    ctx: CallContext,
  ) => Promise<boolean>;
  /** Of one version where there is an id. */
  delete(at: ObjectAddress, ctx: CallContext, versionId?: string): Promise<void>;
  /** @returns what was not deleted, under the names that the provider gives its errors */
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
  /** Not every server tells the ETag: it may be empty. */
  completeUpload(
    upload: Upload,
    parts: readonly SentPart[],
    conditions: Pick<WriteHeaders, 'ifMatch' | 'ifNoneMatch'>,
    ctx: CallContext,
  ): Promise<Written>;
  abortUpload(upload: Upload, ctx: CallContext): Promise<void>;

  /** @param options `startAfter`, instead of a token: names after it */
  list(bucket: string, options: ListOptions & { readonly startAfter?: string }, ctx: CallContext): Promise<ListPage>;
  /** The region, where the provider tells it. */
  headBucket(bucket: string, ctx: CallContext): Promise<string | undefined>;
  listBuckets(
    options: { readonly maxBuckets?: number; readonly prefix?: string; readonly continuationToken?: string },
    ctx: CallContext,
  ): Promise<{ readonly buckets: readonly ListedBucket[]; readonly continuationToken?: string }>;
}
