import type { Readable } from 'node:stream';

import type { CallContext, CannedAcl, ObjectAddress } from '@coffer/storage-core';

/** What a write says about the object beside its bytes. */
export interface WriteHeaders {
  readonly contentType: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Left out for `private`: some buckets refuse any word about ACLs. */
  readonly acl?: CannedAcl;
  readonly storageClass?: string;
  readonly ifNoneMatch?: '*';
  /** As it is to be sent: servers differ about the quotes. */
  readonly ifMatch?: string;
}

/** Bytes in memory can be sent again; a stream has just one attempt. */
type Payload =
  | { readonly kind: 'buffer'; readonly data: Uint8Array; /** Lower-case hex, where it is known already. */ readonly sha256?: string }
  | { readonly kind: 'stream'; readonly stream: Readable; readonly size: number };

export interface ReadHeaders {
  readonly range?: string;
  /** Bare. */
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  readonly ifModifiedSince?: Date;
  readonly ifUnmodifiedSince?: Date;
}

/** What the provider tells of an object. */
export interface ObjectHeaders {
  /** Bytes of the body that comes with it. */
  readonly contentLength: number;
  readonly contentRange?: string;
  /** Bare. */
  readonly etag: string;
  readonly contentType: string;
  readonly lastModified: Date;
  readonly storageClass: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly versionId?: string;
}

export interface Written {
  /** Bare. */
  readonly etag: string;
  readonly versionId?: string;
}

/**
 * The calls that carry bytes, or are made with every request: the door through which a lean transport can serve them
 * instead of the SDK. All reject as `call` does; a read whose condition fails with 304 gives `not_modified`.
 */
export interface Transport {
  put(at: ObjectAddress, payload: Payload, headers: WriteHeaders, ctx: CallContext): Promise<Written>;
  uploadPart(
    part: { readonly at: ObjectAddress; readonly uploadId: string; readonly number: number },
    data: Uint8Array,
    ctx: CallContext,
  ): Promise<{ readonly etag: string }>;
  get(
    at: ObjectAddress,
    headers: ReadHeaders,
    ctx: CallContext,
  ): Promise<
    | { readonly kind: 'object'; readonly headers: ObjectHeaders; readonly body: Readable }
    | { readonly kind: 'not_modified'; readonly etag?: string; readonly lastModified?: Date }
  >;
  head(at: ObjectAddress, ctx: CallContext): Promise<ObjectHeaders>;
}
