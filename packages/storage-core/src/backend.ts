import type { Acl, CannedAcl } from './acl.ts';
import type { CallContext } from './context.ts';
import type { StorageErrorCode } from './errors.ts';
import type {
  Body,
  ByteRange,
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
 * Callers promise: keys and bucket names have passed `assertObjectKey` and `assertBucketName`, ranges `assertByteRange`;
 * body streams yield Buffers (no object mode, no encoding) and may fail at any time.
 * Backends promise: every rejection, and every error of an open body, is a StorageError, except an error of the caller's
 * own body stream or the reason of the caller's abort signal, which come back as they are. A signal that is aborted already
 * lets nothing begin. An aborted or failed write leaves nothing behind and destroys the body stream. An open body that is
 * aborted before anybody reads it fails its reader, not the process (see `destroyOnAbort`).
 * An ability is an optional member: present means supported.
 */
export interface StorageBackend {
  /** The `backend` label in metrics and logs. */
  readonly name: string;

  /** Rejects unless the provider answers; used by health checks. */
  check(ctx: CallContext): Promise<void>;

  /** Replaces the object whole or not at all. Readers see the old bytes or the new ones. */
  put(at: ObjectAddress, body: Body, options: PutOptions, ctx: CallContext): Promise<ObjectInfo>;
  /** @throws file_not_found, no_such_bucket, precondition_failed, range_not_satisfiable */
  get(at: ObjectAddress, options: GetOptions, ctx: CallContext): Promise<GetResult>;
  /** @throws file_not_found, no_such_bucket */
  head(at: ObjectAddress, ctx: CallContext): Promise<ObjectInfo>;
  /** Deleting a key that is not there succeeds. */
  delete(at: ObjectAddress, ctx: CallContext): Promise<void>;
  /** Server-side; content type, metadata and ACL come along. Copying an object over itself is allowed. */
  copy(source: ObjectAddress, destination: ObjectAddress, options: CopyOptions, ctx: CallContext): Promise<ObjectInfo>;
  /** Keys in the order of their UTF-8 bytes. @throws no_such_bucket, invalid_argument for a token that is none */
  list(bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage>;

  readonly batchDelete?: BatchDeleteOperations;
  readonly buckets?: BucketOperations;
  readonly acl?: AclOperations;
  readonly presign?: PresignOperations;
  readonly versioning?: VersioningOperations;
  readonly lifecycle?: LifecycleOperations;
  readonly maintenance?: MaintenanceOperations;

  /**
   * An ability, too: reads an object, or a range of it, into `sink` without a stream between, which is what large
   * downloads are made of. Resolves when the sink has taken everything. Rejects as `get` does, with the sink's own error,
   * or, when the bytes stop coming, after some of them: whoever wants the rest asks for it.
   */
  pull?(at: ObjectAddress, options: PullOptions, sink: ByteSink, ctx: CallContext): Promise<Pulled>;

  /** Releases sockets, files and timers. */
  close(): Promise<void>;
}

/** What became of each key of a batch. */
export interface BatchDeleteResult {
  /** Keys that are gone, also those that were not there. */
  readonly deleted: readonly string[];
  /** Keys that are still there, or cannot be any; `message` is safe to show. */
  readonly errors: readonly { readonly key: string; readonly code: StorageErrorCode; readonly message: string }[];
}

/** Ability: many objects are deleted by one call. */
export interface BatchDeleteOperations {
  /**
   * Deletes up to 1,000 keys; a key that fails is an error of its own, not of the batch. One that is named twice is told of once.
   * @throws invalid_argument for more keys
   */
  deleteMany(bucket: string, keys: readonly string[], ctx: CallContext): Promise<BatchDeleteResult>;
}

/** What a provider tells of a bucket. */
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

/** Ability: buckets are created, listed and deleted. */
export interface BucketOperations {
  /** @throws bucket_already_exists, also when the caller owns it */
  create(bucket: string, options: NewBucket, ctx: CallContext): Promise<BucketInfo>;
  /** @throws no_such_bucket */
  head(bucket: string, ctx: CallContext): Promise<BucketInfo>;
  /** Whether `head` would find it, where that costs less than what it tells. @throws no_such_bucket */
  find?(bucket: string, ctx: CallContext): Promise<void>;
  /** In the order of their names. */
  list(ctx: CallContext): Promise<readonly BucketInfo[]>;
  /** `force` first removes objects, versions, delete markers and open multipart uploads. @throws no_such_bucket, bucket_not_empty */
  delete(bucket: string, options: { readonly force?: boolean }, ctx: CallContext): Promise<void>;
  /** Sets what browser uploads and hygiene need, each where the provider has such a rule. Idempotent. */
  provision?(bucket: string, options: { readonly corsOrigins: readonly string[] }, ctx: CallContext): Promise<void>;
}

/** Ability: ACLs are read, and replaced by canned ones. */
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

/** What a presigned upload takes. */
export interface PresignUploadOptions {
  /** The one media type that will be accepted; any when left out. */
  readonly contentType?: string;
  /** The one size in bytes that will be accepted; any when left out. */
  readonly size?: number;
  /** Seconds. */
  readonly expiresIn: number;
  /** The form wanted; a backend that lacks POST policies answers PUT to POST. Default POST. */
  readonly method?: 'POST' | 'PUT';
  readonly acl?: CannedAcl;
  readonly storageClass?: string;
}

/** How to send the bytes: for POST `fields` come before the part `file`; for PUT `headers` go with the raw body. */
export interface PresignedUpload {
  readonly method: 'POST' | 'PUT';
  readonly url: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

/** How a presigned download is answered, and until when. */
export interface PresignDownloadOptions {
  /** Seconds. */
  readonly expiresIn: number;
  /** Content-Disposition of the answer. */
  readonly contentDisposition?: string;
  /** Content-Type of the answer, instead of the object's. */
  readonly contentType?: string;
  /** What the URL is for. Default GET; some providers' take HEAD as well, and others just the method that was signed. */
  readonly method?: 'GET' | 'HEAD';
}

/** A URL that gives one object to whoever has it. */
export interface PresignedDownload {
  readonly url: string;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

/** Ability: URLs and forms that work without credentials, until they expire. */
export interface PresignOperations {
  upload(at: ObjectAddress, options: PresignUploadOptions, ctx: CallContext): Promise<PresignedUpload>;
  download(at: ObjectAddress, options: PresignDownloadOptions, ctx: CallContext): Promise<PresignedDownload>;
}

/** Ability: buckets keep the former versions of their objects. */
export interface VersioningOperations {
  /** @throws no_such_bucket */
  getVersioning(bucket: string, ctx: CallContext): Promise<boolean>;
  /** @throws no_such_bucket */
  setVersioning(bucket: string, enabled: boolean, ctx: CallContext): Promise<void>;
}

/**
 * What a provider does by itself, after a while, with the objects of a bucket whose keys begin with `prefix`.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
 */
export interface LifecycleRule {
  readonly id: string;
  /** Empty: all objects. */
  readonly prefix: string;
  /** Days after their creation that objects are deleted. */
  readonly expireDays?: number;
  /** Days after their beginning that unfinished multipart uploads are given up. */
  readonly abortMultipartDays?: number;
  /** Days after their creation that objects change to another storage class. */
  readonly transition?: { readonly days: number; readonly storageClass: string };
}

/** Ability: buckets have lifecycle rules. */
export interface LifecycleOperations {
  /** None where nobody has set any. @throws no_such_bucket */
  getLifecycle(bucket: string, ctx: CallContext): Promise<readonly LifecycleRule[]>;
  /** Replaces all rules of the bucket. @throws no_such_bucket, invalid_argument */
  setLifecycle(bucket: string, rules: readonly LifecycleRule[], ctx: CallContext): Promise<void>;
  /** @throws no_such_bucket */
  deleteLifecycle(bucket: string, ctx: CallContext): Promise<void>;
}

/** What a sweep came to. */
export interface SweepReport {
  /** What was removed, or with `dryRun` would be: abandoned uploads and bytes that no object refers to. */
  readonly removed: number;
  readonly bytes: number;
}

/** Ability: what killed processes left behind is found and removed. */
export interface MaintenanceOperations {
  /** Removes what killed processes left behind, once it is older than `olderThan` seconds. */
  sweep(options: SweepOptions, ctx: CallContext): Promise<SweepReport>;
}

/** What a sweep looks at. */
export interface SweepOptions {
  /** Seconds, at least 0. */
  readonly olderThan: number;
  /** Only count. Default false. */
  readonly dryRun?: boolean;
  /** Just this bucket, whoever began uploads in it. */
  readonly bucket?: string;
  /**
   * Without `bucket`: which of these buckets are the caller's, where unfinished uploads may just as well be those of others. All of them when
   * left out. What only the backend itself can have left is removed everywhere.
   */
  readonly among?: (buckets: readonly string[]) => Promise<Iterable<string>>;
}

/** What of an object is read into a sink, and under which condition. */
export interface PullOptions {
  /** All of the object when left out. */
  readonly range?: ByteRange;
  /** Bare: only while the object has this ETag. */
  readonly ifMatch?: string;
}

/**
 * Takes bytes as they come, in order. A chunk is the sink's until it returns, or until the promise settles that it
 * returned: then its memory is used again, and no sooner comes the next one. What it throws ends the reading.
 */
export type ByteSink = (chunk: Buffer) => void | Promise<void>;

/** What was read into a sink. */
export interface Pulled {
  readonly info: ObjectInfo;
  /** Set when a range was asked for. */
  readonly range?: ResolvedRange;
}
