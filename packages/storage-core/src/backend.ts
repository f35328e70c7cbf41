import type { Acl, CannedAcl } from './acl.ts';
import type { CallContext } from './context.ts';
import type { StorageErrorCode } from './errors.ts';
import type {
  Body,
  ByteRange,
  CopiedObject,
  CopyOptions,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  ObjectAddress,
  ObjectInfo,
  PutOptions,
  ResolvedRange,
} from './object.ts';

/**
 * What a storage provider implements. `@coffer/storage-core/testing` is its specification.
 *
 * Callers promise: keys and bucket names have passed `assertObjectKey` and `assertBucketName`, ranges `assertByteRange`. Body streams yield
 * Buffers (no object mode, no encoding) and may fail at any time.
 * Backends promise: every rejection, and every error of an open body, is a StorageError, except an error of the caller's own body stream or
 * the reason of the caller's abort signal, which are passed on unchanged. Nothing begins under a signal that is already aborted. An aborted
 * or failed write leaves nothing behind and destroys the body stream. An open body that is aborted before anybody reads it fails its
 * reader, not the process (see `destroyOnAbort`).
 * An ability is an optional member: present means supported.
 */
export interface StorageBackend {
  /** The `backend` label in metrics and logs. */
  readonly name: string;

  /** Rejects unless the provider answers. Used by health checks. */
  check(ctx: CallContext): Promise<void>;

  /**
   * Replaces the whole object or nothing. Readers see the old bytes or the new ones.
   * @throws no_such_bucket, precondition_failed, checksum_mismatch, invalid_argument
   */
  put(at: ObjectAddress, body: Body, options: PutOptions, ctx: CallContext): Promise<ObjectInfo>;
  /** @throws file_not_found, no_such_bucket, precondition_failed, range_not_satisfiable */
  get(at: ObjectAddress, options: GetOptions, ctx: CallContext): Promise<GetResult>;
  /** @throws file_not_found, no_such_bucket */
  head(at: ObjectAddress, ctx: CallContext): Promise<ObjectInfo>;
  /** Succeeds when the key does not exist. @throws no_such_bucket */
  delete(at: ObjectAddress, ctx: CallContext): Promise<void>;
  /**
   * Copies on the server, along with content type, metadata and ACL. Copying an object onto itself is allowed.
   * @throws file_not_found, no_such_bucket, precondition_failed
   */
  copy(source: ObjectAddress, destination: ObjectAddress, options: CopyOptions, ctx: CallContext): Promise<CopiedObject>;
  /** Lists keys in the order of their UTF-8 bytes. @throws no_such_bucket, invalid_argument for an invalid token */
  list(bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage>;

  readonly batchDelete?: BatchDeleteOperations;
  readonly buckets?: BucketOperations;
  readonly acl?: AclOperations;
  readonly presign?: PresignOperations;
  readonly versioning?: VersioningOperations;
  readonly lifecycle?: LifecycleOperations;
  readonly maintenance?: MaintenanceOperations;

  /**
   * Also an ability: reads an object, or a range of it, into `sink` without a stream in between; large downloads consist of such reads.
   * Resolves when the sink has taken everything. Rejects as `get` does, with the sink's own error, or part-way when the bytes stop coming:
   * the caller then asks for the rest.
   */
  pull?(at: ObjectAddress, options: PullOptions, sink: ByteSink, ctx: CallContext): Promise<Pulled>;

  /**
   * Also an ability: deletes an object only while it has this bare ETag, so that nothing is deleted that somebody has written since. It is for
   * providers that compare and delete in one step; for others, the service looks first.
   * @throws no_such_bucket, precondition_failed; also if there is no object, unless the provider takes that for deleted
   */
  deleteIfMatch?(at: ObjectAddress, etag: string, ctx: CallContext): Promise<void>;

  /** Releases sockets, files and timers, also those of open bodies. Calls that come later may fail. */
  close(): Promise<void>;
}

/** What happened to each key of a batch. */
export interface BatchDeleteResult {
  /** Keys that are gone, including those that did not exist. */
  readonly deleted: readonly string[];
  /** Keys that still exist, or are not valid keys; `message` is safe to show. */
  readonly errors: readonly { readonly key: string; readonly code: StorageErrorCode; readonly message: string }[];
}

/** Ability: deleting many objects in one call. */
export interface BatchDeleteOperations {
  /**
   * Deletes up to 1,000 keys. A key that fails does not fail the batch. A key that is named twice is reported once.
   * @throws invalid_argument for more keys
   */
  deleteMany(bucket: string, keys: readonly string[], ctx: CallContext): Promise<BatchDeleteResult>;
}

/** What a provider reports about a bucket. */
export interface BucketInfo {
  readonly name: string;
  readonly region: string;
  readonly createdAt: Date;
  readonly versioningEnabled: boolean;
}

/** How a bucket is created. */
export interface NewBucket {
  /** Default: `StorageServiceOptions.region`, else the provider's. */
  readonly region?: string;
  /** Default: the provider's, which is private. */
  readonly acl?: CannedAcl;
}

/** Ability: creating, listing and deleting buckets. */
export interface BucketOperations {
  /** @throws bucket_already_exists, even when the caller owns it */
  create(bucket: string, options: NewBucket, ctx: CallContext): Promise<BucketInfo>;
  /** @throws no_such_bucket */
  head(bucket: string, ctx: CallContext): Promise<BucketInfo>;
  /** Resolves if `head` would find the bucket, where that is cheaper than its details. @throws no_such_bucket */
  find?(bucket: string, ctx: CallContext): Promise<void>;
  /** Sorted by name. */
  list(ctx: CallContext): Promise<readonly BucketInfo[]>;
  /** `force` first removes objects, versions, delete markers and open multipart uploads. @throws no_such_bucket, bucket_not_empty */
  delete(bucket: string, options: { readonly force?: boolean }, ctx: CallContext): Promise<void>;
  /** Sets the rules for browser uploads and housekeeping, each if the provider supports it. Idempotent. */
  provision?(bucket: string, options: { readonly corsOrigins: readonly string[] }, ctx: CallContext): Promise<void>;
}

/** Ability: reading ACLs, and replacing them with canned ones. */
export interface AclOperations {
  /** @throws file_not_found, no_such_bucket */
  getObjectAcl(at: ObjectAddress, ctx: CallContext): Promise<Acl>;
  /** @throws file_not_found, no_such_bucket, invalid_argument for an ACL that the provider does not know */
  setObjectAcl(at: ObjectAddress, acl: CannedAcl, ctx: CallContext): Promise<Acl>;
  /** @throws no_such_bucket */
  getBucketAcl(bucket: string, ctx: CallContext): Promise<Acl>;
  /** @throws no_such_bucket, invalid_argument */
  setBucketAcl(bucket: string, acl: CannedAcl, ctx: CallContext): Promise<Acl>;
}

/** What a presigned upload accepts. */
export interface PresignUploadOptions {
  /** The only accepted media type. Default: any. */
  readonly contentType?: string;
  /** The only accepted size in bytes. Default: any. */
  readonly size?: number;
  /** Seconds. */
  readonly expiresIn: number;
  /** The wanted method. A backend without POST policies answers a request for POST with PUT. Default POST. */
  readonly method?: 'POST' | 'PUT';
  readonly acl?: CannedAcl;
  readonly storageClass?: string;
}

/** How to send the bytes. For POST, `fields` come before the part `file`; for PUT, `headers` go with the raw body. */
export interface PresignedUpload {
  readonly method: 'POST' | 'PUT';
  readonly url: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

/** How a presigned download is answered, and how long it is valid. */
export interface PresignDownloadOptions {
  /** Seconds. */
  readonly expiresIn: number;
  /** Content-Disposition of the response. */
  readonly contentDisposition?: string;
  /** Content-Type of the response, instead of the object's. */
  readonly contentType?: string;
  /** The method the URL is for. Default GET. Some providers also accept HEAD on a GET URL, others only the method that was signed. */
  readonly method?: 'GET' | 'HEAD';
}

/** A URL that gives one object to anyone who has it. */
export interface PresignedDownload {
  readonly url: string;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

/** Ability: URLs and forms that work without credentials until they expire. */
export interface PresignOperations {
  upload(at: ObjectAddress, options: PresignUploadOptions, ctx: CallContext): Promise<PresignedUpload>;
  download(at: ObjectAddress, options: PresignDownloadOptions, ctx: CallContext): Promise<PresignedDownload>;
}

/** Ability: keeping the previous versions of a bucket's objects. */
export interface VersioningOperations {
  /** @throws no_such_bucket */
  getVersioning(bucket: string, ctx: CallContext): Promise<boolean>;
  /** @throws no_such_bucket */
  setVersioning(bucket: string, enabled: boolean, ctx: CallContext): Promise<void>;
}

/**
 * What a provider does on its own, after some days, with the objects of a bucket whose keys begin with `prefix`.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
 */
export interface LifecycleRule {
  readonly id: string;
  /** Empty for all objects. */
  readonly prefix: string;
  /** Days after creation until objects are deleted. */
  readonly expireDays?: number;
  /** Days after their start until unfinished multipart uploads are aborted. */
  readonly abortMultipartDays?: number;
  /** Days after creation until objects move to another storage class. */
  readonly transition?: { readonly days: number; readonly storageClass: string };
}

/** Ability: lifecycle rules of buckets. */
export interface LifecycleOperations {
  /** Empty when no rules were set. @throws no_such_bucket */
  getLifecycle(bucket: string, ctx: CallContext): Promise<readonly LifecycleRule[]>;
  /**
   * Replaces all rules that `getLifecycle` tells; with none, all of the bucket. One that comes back as it was told keeps what it has beyond that.
   * @throws no_such_bucket, invalid_argument, not_supported for a change of a rule that is only about some of the objects below its prefix
   */
  setLifecycle(bucket: string, rules: readonly LifecycleRule[], ctx: CallContext): Promise<void>;
  /** @throws no_such_bucket */
  deleteLifecycle(bucket: string, ctx: CallContext): Promise<void>;
}

/** The result of a sweep. */
export interface SweepReport {
  /** What was removed, or with `dryRun` would be: abandoned uploads, and bytes that no object refers to. */
  readonly removed: number;
  readonly bytes: number;
}

/** Ability: finding and removing what killed processes left behind. */
export interface MaintenanceOperations {
  /** Removes what killed processes left behind, once it is older than `olderThan` seconds. */
  sweep(options: SweepOptions, ctx: CallContext): Promise<SweepReport>;
}

/** What a sweep looks at. */
export interface SweepOptions {
  /** Minimum age in seconds, at least 0. */
  readonly olderThan: number;
  /** Only count. Default false. */
  readonly dryRun?: boolean;
  /** Only this bucket, whoever began uploads in it. */
  readonly bucket?: string;
  /**
   * Without `bucket`: picks the caller's own among these buckets; unfinished uploads in the others may be somebody else's. Default: all of
   * them. Leftovers that only this backend can have made are removed everywhere.
   */
  readonly among?: (buckets: readonly string[]) => Promise<Iterable<string>>;
}

/** Which bytes of an object are read into a sink, and under which condition. */
export interface PullOptions {
  /** Default: the whole object. */
  readonly range?: ByteRange;
  /** A bare ETag: read only while the object has it. */
  readonly ifMatch?: string;
}

/**
 * Receives bytes in order, as they arrive. A chunk belongs to the sink until the sink returns, or until the promise it returned settles:
 * only then is its memory reused and does the next chunk come. An error that the sink throws ends the read.
 */
export type ByteSink = (chunk: Buffer) => void | Promise<void>;

/** What was read into a sink. */
export interface Pulled {
  readonly info: ObjectInfo;
  /** Set when a range was requested. */
  readonly range?: ResolvedRange;
}
