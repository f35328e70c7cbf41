import type { CannedAcl } from './acl.ts';
import type { PresignDownloadOptions, PresignUploadOptions, StorageBackend } from './backend.ts';
import type { BodyInput } from './body.ts';
import type { BucketResolver } from './bucket-resolver.ts';
import type { TenantContext } from './context.ts';
import type { Given } from './defined.ts';
import type { RetryPolicy } from './layers/retry.ts';
import type { CopyOptions, PutOptions } from './object.ts';
import type { Observer } from './observer.ts';

/** What a StorageService is made of. */
export interface StorageServiceOptions {
  readonly backend: StorageBackend;
  /** Used when a call names no bucket and `resolveBucket` is not given. */
  readonly defaultBucket?: string;
  /** Decides the bucket of every call. Default: the named one, else `defaultBucket`. */
  readonly resolveBucket?: BucketResolver;
  /** Create a bucket that was not named by the caller on its first use. Default false. */
  readonly autoProvision?: boolean;
  /**
   * Whether a bucket that was created, or found, on its first use is one to have: what led to it may be out of date, where another
   * process has deleted it meanwhile. Of one that is not, the bucket is decided anew. Default: it is.
   */
  readonly keepsBucket?: (bucket: string) => Promise<boolean>;
  /** Where buckets are created unless a call says otherwise. */
  readonly region?: string;
  /** Origins that browser uploads may come from, set on provisioned buckets. Default `*`. */
  readonly corsOrigins?: readonly string[];
  /** Of uploads that name none. Default: the provider's, which is private. */
  readonly defaultAcl?: CannedAcl;
  /** Of uploads that name none, by S3's name. Default: the provider's. */
  readonly defaultStorageClass?: string;
  /** Seconds a presigned URL lives unless a call says otherwise. Default 3,600. */
  readonly presignExpires?: number;
  /** Sees every call once; `@coffer/metrics` has one for Prometheus. */
  readonly observer?: Observer;
  /** Only for backends whose client does not retry by itself. */
  readonly retry?: RetryPolicy;
  /** Seconds after which a provider that does not answer a health check counts as down. Default 5. */
  readonly healthCheckTimeout?: number;
}

/** What decides the bucket of a call: the one it names, or `StorageServiceOptions.resolveBucket`. */
export interface InBucket {
  readonly bucket?: string | undefined;
  /** Whom the call is made for, where tenants have buckets of their own. */
  readonly tenantContext?: TenantContext | undefined;
}

/** An object, by key alone where the bucket follows from the context. */
export type FileAddress = string | (InBucket & { readonly key: string });

/** An object to write, with its bytes. */
export interface UploadFile extends InBucket, Given<PutOptions> {
  /** 1 to 1,024 bytes of UTF-8; see `assertObjectKey`. */
  readonly key: string;
  /** Text, bytes, a Blob, a Node stream, a web stream or an async iterable. */
  readonly body: BodyInput;
  /** Exact size in bytes of a streamed body, where it is known: saves buffering on some providers. */
  readonly size?: number | undefined;
  /** About how many bytes a streamed body has, where its size is not known: no more memory is set aside for it. */
  readonly sizeHint?: number | undefined;
  /** Default: from the key's extension. */
  readonly contentType?: string | undefined;
  /** Default: `StorageServiceOptions.defaultAcl`. */
  readonly acl?: CannedAcl | undefined;
  /** By S3's name. Default: `StorageServiceOptions.defaultStorageClass`. */
  readonly storageClass?: string | undefined;
}

/** From where to where an object is copied or moved. */
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
