import type { Readable } from 'node:stream';

import type { CannedAcl } from './acl.ts';

/** Where an object is. */
export interface ObjectAddress {
  readonly bucket: string;
  /** 1 to 1,024 bytes of UTF-8; see `assertObjectKey`. */
  readonly key: string;
}

/** What is known of an object without its bytes. */
export interface ObjectInfo extends ObjectAddress, ObjectSummary {
  readonly contentType: string;
  /** What the bytes, as they are stored, are to be decoded by, such as `gzip`; undefined where they are what the type says. */
  readonly contentEncoding?: string;
  /** Names in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Lower-case hex, where the provider knows it. */
  readonly sha256?: string;
  /** Where the bucket keeps versions. */
  readonly versionId?: string;
}

/** Bytes `start` to `end`, both included; without `end` to the last one; or the last `suffix` bytes. */
export type ByteRange = { readonly start: number; readonly end?: number } | { readonly suffix: number };

/** What a range came to for one object, as in Content-Range. */
export interface ResolvedRange {
  /** First byte, from 0. */
  readonly start: number;
  /** Last byte, included. */
  readonly end: number;
}

/** Bare ETags, or `*` for "any object". */
export type EtagCondition = readonly string[] | '*';

/** Conditions of a read, evaluated in the order of RFC 9110, section 13.2.2. */
export interface ReadConditions {
  /** precondition_failed unless the object has one of these ETags. */
  readonly ifMatch?: EtagCondition;
  /** `not_modified` when the object has one of these ETags. */
  readonly ifNoneMatch?: EtagCondition;
  /** `not_modified` unless it was written later; means nothing beside `ifNoneMatch`. */
  readonly ifModifiedSince?: Date;
  /** precondition_failed when it was written later; means nothing beside `ifMatch`. */
  readonly ifUnmodifiedSince?: Date;
}

/** Which bytes are read, and under which conditions. */
export interface GetOptions extends ReadConditions {
  readonly range?: ByteRange;
}

/** An open object. The body must be read to its end or destroyed: until then it holds a socket or a file. */
export interface ObjectStream {
  readonly kind: 'object';
  readonly info: ObjectInfo;
  /** Set when a range was asked for; the body then holds just these bytes. */
  readonly range?: ResolvedRange;
  readonly body: Readable;
  /**
   * Set when each chunk of the body is memory of its own, which nobody but its readers knows: the only one may give it back
   * once it is done with it (see `releaseChunk`). Whoever wraps a backend and keeps chunks, or gives another body, leaves it out.
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

/** An open object, or word that the caller's copy is current: `kind` tells which. */
export type GetResult = ObjectStream | NotModified;

/** A body at the driver: converted once, at the door (`bodyOf`), from whatever the caller held. Streams yield Buffers. */
export type Body =
  | { readonly kind: 'buffer'; readonly data: Uint8Array }
  | {
      readonly kind: 'stream';
      readonly stream: Readable;
      /** Exact size in bytes, where it is known; a stream of another length is refused. */
      readonly size?: number;
      /** About how many bytes, where nobody knows exactly: what memory is set aside for. More or fewer may come. */
      readonly sizeHint?: number;
    };

/** What is written with the bytes of an object. */
export interface PutOptions {
  readonly contentType: string;
  /** Names of a-z, 0-9, "-", "_" and "."; values of printable ASCII; 2 KiB in all, as S3 holds them. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Default: the provider's, which is private. */
  readonly acl?: CannedAcl;
  /** By S3's name. Default: the provider's. */
  readonly storageClass?: string;
  /** `*`: write only if there is no object of this key. */
  readonly ifNoneMatch?: '*';
  /** Write only over an object of this ETag; precondition_failed also where there is none. */
  readonly ifMatch?: string;
  /** Declared by the caller, lower-case hex; verified before the object can be seen. */
  readonly sha256?: string;
  /** As `sha256`. */
  readonly md5?: string;
}

/** What of a copy is other than of its source, and its conditions. */
export interface CopyOptions {
  /** Instead of the source's ACL. */
  readonly acl?: CannedAcl;
  /** By S3's name; instead of the source's class. */
  readonly storageClass?: string;
  /** Copy only while the source has this ETag. */
  readonly ifMatch?: string;
  /**
   * Copy only what this takes: asked about the source before anything is written, and then it is that version which is copied.
   * precondition_failed otherwise. Spares a look at the source, which is made for the copy anyway. May be asked again, of a later version.
   */
  readonly onlyIf?: (source: ObjectInfo) => boolean;
  /** `*`: copy only if there is no object at the destination. */
  readonly ifNoneMatch?: '*';
}

/** Which keys of a bucket are listed, page by page. */
export interface ListOptions {
  /** Only keys that begin with this. Default: all. */
  readonly prefix?: string;
  /** Keys that share a part up to the delimiter after the prefix are rolled up into one common prefix. */
  readonly delimiter?: string;
  /** 1 to 1,000, default 1,000; objects and common prefixes count alike. */
  readonly maxKeys?: number;
  /** Opaque; from the page before. */
  readonly continuationToken?: string;
  /**
   * Told where the next page begins, by backends that know it before they have read this one: whoever reads on can ask for it
   * meanwhile. What counts is the token of the page: this one, if the page comes.
   */
  readonly onNextToken?: (continuationToken: string) => void;
}

/** What a list tells of an object. */
export interface ObjectSummary {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Bare, without quotes. */
  readonly etag: string;
  readonly lastModified: Date;
  /** By S3's name; `STANDARD` where the provider tells of none. */
  readonly storageClass: string;
}

/** Objects and common prefixes in the order of their UTF-8 bytes. */
export interface ListPage {
  readonly objects: readonly ObjectSummary[];
  /** Each with the delimiter at its end. */
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  /** Set while `isTruncated`. */
  readonly nextContinuationToken?: string;
}
