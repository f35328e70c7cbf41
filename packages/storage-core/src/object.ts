import type { Readable } from 'node:stream';

import type { CannedAcl } from './acl.ts';

/** Where an object is. */
export interface ObjectAddress {
  readonly bucket: string;
  /** 1 to 1,024 bytes of UTF-8; see `assertObjectKey`. */
  readonly key: string;
}

/** What is known about an object without its bytes. */
export interface ObjectInfo extends ObjectAddress, ObjectSummary {
  readonly contentType: string;
  /** The encoding of the stored bytes, such as `gzip`; undefined where they are what the type says. */
  readonly contentEncoding?: string;
  /** Names in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Lower-case hex, if the provider knows it. */
  readonly sha256?: string;
  /** Set where the bucket keeps versions. */
  readonly versionId?: string;
}

/** Bytes `start` to `end`, both included; without `end`, up to the last byte; or the last `suffix` bytes. */
export type ByteRange = { readonly start: number; readonly end?: number } | { readonly suffix: number };

/** A range as resolved for one object, as in Content-Range. */
export interface ResolvedRange {
  /** First byte, from 0. */
  readonly start: number;
  /** Last byte, included. */
  readonly end: number;
}

/** Bare ETags, or `*` for any object. */
export type EtagCondition = readonly string[] | '*';

/** Conditions of a read, evaluated in the order of RFC 9110, section 13.2.2. */
export interface ReadConditions {
  /** precondition_failed unless the object has one of these ETags. */
  readonly ifMatch?: EtagCondition;
  /** `not_modified` when the object has one of these ETags. */
  readonly ifNoneMatch?: EtagCondition;
  /** `not_modified` unless the object was written later; ignored when `ifNoneMatch` is given. */
  readonly ifModifiedSince?: Date;
  /** precondition_failed when the object was written later; ignored when `ifMatch` is given. */
  readonly ifUnmodifiedSince?: Date;
}

/** Which bytes are read, and under which conditions. */
export interface GetOptions extends ReadConditions {
  readonly range?: ByteRange;
}

/** An open object. Read the body to its end or destroy it: until then it holds a socket or a file. */
export interface ObjectStream {
  readonly kind: 'object';
  readonly info: ObjectInfo;
  /** Set when a range was requested; the body then holds only these bytes. */
  readonly range?: ResolvedRange;
  readonly body: Readable;
  /**
   * Set when each chunk of the body is memory of its own that only its readers know. A sole reader may release a chunk once it is done with
   * it (see `releaseChunk`). A wrapper that keeps chunks, or returns another body, leaves this out.
   */
  readonly ownsChunks?: boolean;
}

/** The caller's copy is current: there is nothing to send. */
export interface NotModified {
  readonly kind: 'not_modified';
  /** Bare, without quotes. */
  readonly etag: string;
  readonly lastModified?: Date;
}

/** An open object, or the news that the caller's copy is current; `kind` tells which. */
export type GetResult = ObjectStream | NotModified;

/** A body as backends receive it: converted once, on entry (`bodyOf`), from whatever the caller held. Streams yield Buffers. */
export type Body =
  | { readonly kind: 'buffer'; readonly data: Uint8Array }
  | {
      readonly kind: 'stream';
      readonly stream: Readable;
      /** Exact size in bytes, if known; a stream of another length is refused. */
      readonly size?: number;
      /** Approximate size in bytes when the exact one is unknown: how much memory to set aside. More or fewer bytes may come. */
      readonly sizeHint?: number;
    };

/** What is written along with the bytes of an object. */
export interface PutOptions {
  readonly contentType: string;
  /** Names of a-z, 0-9, "-", "_" and "."; values of printable ASCII; 2 KiB in total, as in S3. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Default: the provider's, which is private. */
  readonly acl?: CannedAcl;
  /** S3's name of the class. Default: the provider's. */
  readonly storageClass?: string;
  /** `*`: write only if no object has this key. */
  readonly ifNoneMatch?: '*';
  /** Write only over an object with this ETag; precondition_failed also when there is none. */
  readonly ifMatch?: string;
  /** Declared by the caller, lower-case hex; verified before the object becomes visible. */
  readonly sha256?: string;
  /** As `sha256`. */
  readonly md5?: string;
}

/** How a copy differs from its source, and its conditions. */
export interface CopyOptions {
  /** Instead of the source's ACL. */
  readonly acl?: CannedAcl;
  /** S3's name of the class; instead of the source's class. */
  readonly storageClass?: string;
  /** Copy only while the source has this ETag. */
  readonly ifMatch?: string;
  /**
   * Copy only if this returns true for the source; otherwise precondition_failed. It is called before anything is written, and exactly that
   * version is copied. This saves a separate look at the source, since the copy needs one anyway. May be called again for a later version.
   */
  readonly onlyIf?: (source: ObjectInfo) => boolean;
  /** `*`: copy only if there is no object at the destination. */
  readonly ifNoneMatch?: '*';
}

/** A copy, and what it was made of. */
export interface CopiedObject extends ObjectInfo {
  /** Set where the backend has `deleteIfMatch`: the ETag under which it deletes what was copied, and nothing newer. */
  readonly sourceEtag?: string;
}

/** Which keys of a bucket are listed, page by page. */
export interface ListOptions {
  /** Only keys that begin with this prefix. Default: all. */
  readonly prefix?: string;
  /** Keys that share the part between the prefix and the next delimiter are rolled up into one common prefix. */
  readonly delimiter?: string;
  /** 1 to 1,000, default 1,000; objects and common prefixes both count. */
  readonly maxKeys?: number;
  /** Opaque; from the previous page. */
  readonly continuationToken?: string;
  /**
   * Called with the start of the next page by backends that know it before they have read this one, so that a caller can already request
   * it. The page's own token is what counts: it is this one, if the page arrives and the provider has not lost the list meanwhile.
   */
  readonly onNextToken?: (continuationToken: string) => void;
}

/** What a listing tells about an object. */
export interface ObjectSummary {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Bare, without quotes. */
  readonly etag: string;
  readonly lastModified: Date;
  /** S3's name of the class; `STANDARD` if the provider names none. */
  readonly storageClass: string;
}

/** Objects and common prefixes in the order of their UTF-8 bytes. */
export interface ListPage {
  readonly objects: readonly ObjectSummary[];
  /** Each ends with the delimiter. */
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  /** Set while `isTruncated`. */
  readonly nextContinuationToken?: string;
}
