import type { CannedAcl } from './acl.ts';
import type { PresignDownloadOptions, PresignUploadOptions, StorageBackend } from './backend.ts';
import type { BodyInput } from './body/body.ts';
import type { BucketResolver } from './bucket-resolver.ts';
import type { TenantContext } from './context.ts';
import type { Given } from './defined.ts';
import type { RetryPolicy } from './layers/retry.ts';
import type { CopyOptions, PutOptions } from './object.ts';
import type { Observer } from './observer.ts';

/** What a StorageService consists of. */
export interface StorageServiceOptions {
  readonly backend: StorageBackend;
  /** Used when a call names no bucket and `resolveBucket` is not given. */
  readonly defaultBucket?: string;
  /** Decides the bucket of every call. Default: the named bucket, else `defaultBucket`. */
  readonly resolveBucket?: BucketResolver;
  /** Create a bucket on its first use, unless the caller named it. Default false. */
  readonly autoProvision?: boolean;
  /**
   * Whether to keep a bucket that was created or found on its first use: what led to it may be out of date if another process has deleted
   * the bucket meanwhile. If not, the bucket is decided anew. Default: keep it.
   */
  readonly keepsBucket?: (bucket: string) => Promise<boolean>;
  /** Region of created buckets unless a call says otherwise. */
  readonly region?: string;
  /** Origins that browser uploads may come from, set on provisioned buckets. Default `*`. */
  readonly corsOrigins?: readonly string[];
  /** ACL of uploads that name none. Default: the provider's, which is private. */
  readonly defaultAcl?: CannedAcl;
  /** Storage class of uploads that name none, by S3's name. Default: the provider's. */
  readonly defaultStorageClass?: string;
  /** Lifetime of presigned URLs in seconds unless a call says otherwise. Default 3,600. */
  readonly presignExpires?: number;
  /** Sees every call once; `@coffer/metrics` has one for Prometheus. */
  readonly observer?: Observer;
  /** Only for backends whose client does not retry by itself. */
  readonly retry?: RetryPolicy;
  /** Seconds after which a provider that does not answer a health check counts as down. Default 5. */
  readonly healthCheckTimeout?: number;
}

/** What decides the bucket of a call: the one it names, else `StorageServiceOptions.resolveBucket`. */
export interface InBucket {
  readonly bucket?: string | undefined;
  /** The tenant the call is made for, where tenants have their own buckets. */
  readonly tenantContext?: TenantContext | undefined;
}

/** An object; just its key where the bucket follows from the context. */
export type FileAddress = string | (InBucket & { readonly key: string });

/** An object to delete, and the only state in which it is deleted. */
export type DeleteFile =
  | string
  | (InBucket & {
      readonly key: string;
      /** A bare ETag: delete only while the object has it; precondition_failed otherwise, also if there is no object. */
      readonly ifMatch?: string | undefined;
    });

/** An object to write, including its bytes. */
export interface UploadFile extends InBucket, Given<PutOptions> {
  /** 1 to 1,024 bytes of UTF-8; see `assertObjectKey`. */
  readonly key: string;
  /** Text, bytes, a Blob, a Node stream, a web stream or an async iterable. */
  readonly body: BodyInput;
  /** Exact size in bytes of a streamed body, if known: saves buffering on some providers. */
  readonly size?: number | undefined;
  /** Approximate size in bytes of a streamed body of unknown size: no more memory is set aside for it. */
  readonly sizeHint?: number | undefined;
  /** Default: from the key's extension. */
  readonly contentType?: string | undefined;
  /** Default: `StorageServiceOptions.defaultAcl`. */
  readonly acl?: CannedAcl | undefined;
  /** S3's name of the class. Default: `StorageServiceOptions.defaultStorageClass`. */
  readonly storageClass?: string | undefined;
}

/** Source and destination of a copy or move. */
export interface CopyFile extends Given<CopyOptions> {
  readonly source: FileAddress;
  readonly destination: FileAddress;
}

/** What a presigned upload lets its holder write. */
export interface PresignUpload extends InBucket, Given<PresignUploadOptions> {
  readonly key: string;
  /** Seconds. Default: `StorageServiceOptions.presignExpires`. */
  readonly expiresIn?: number | undefined;
}

/** What a presigned URL lets its holder read, and how it is answered. */
export interface PresignDownload extends InBucket, Given<PresignDownloadOptions> {
  readonly key: string;
  /** Seconds. Default: `StorageServiceOptions.presignExpires`. */
  readonly expiresIn?: number | undefined;
}
