import type { S3ClientConfig } from '@aws-sdk/client-s3';

/** Which server a backend talks to, and how. */
export interface S3BackendOptions {
  /** The `backend` label in metrics and logs. Default `s3`. */
  readonly name?: string;
  /** Region that is signed for, and that new buckets are created in. Default us-east-1. */
  readonly region?: string;
  /** URL of an S3-compatible server. Default: AWS. */
  readonly endpoint?: string;
  /** What presigned URLs are signed for: the server as browsers see it. Default: `endpoint`. */
  readonly publicEndpoint?: string;
  /** Both or neither. Without them, the SDK's default chain (environment, files, roles), read again as it rotates. */
  readonly accessKey?: string;
  readonly secretKey?: string;
  /** Instead of the keys: any provider of the AWS SDK. */
  readonly credentials?: S3ClientConfig['credentials'];
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. Default: whether there is an `endpoint` that is not AWS. */
  readonly forcePathStyle?: boolean;
  /** False accepts any certificate. Default true. */
  readonly verifySsl?: boolean;
  /** Sockets to the provider at once. Default 10. */
  readonly maxPoolConnections?: number;
  /** Retries after the first attempt. Default 3. */
  readonly maxRetries?: number;
  /** Default `standard`. */
  readonly retryMode?: 'standard' | 'adaptive';
  /**
   * Whether a server that has answered before, and is gone, is waited for: seconds between attempts, instead of fractions of one.
   * For commands; who serves others tells them sooner. Requests of the lean door only. Default false.
   */
  readonly patient?: boolean;
  /** Seconds to connect, and of idleness of a socket or an open body. Default 60. */
  readonly timeout?: number;
  /**
   * Whether the SHA-256 of bodies is computed and signed: `always`, or once the server is seen to insist on it. Sums that
   * callers declare are verified and sent either way. Default `when-required`.
   */
  readonly payloadSigning?: 'when-required' | 'always';
  /** What carries the frequent calls: signed requests of our own, or the AWS SDK. Default `lean`. */
  readonly transport?: 'lean' | 'sdk';
  /** Bytes of a part of a multipart upload; an object up to this size is written by one PUT. 5 MiB to 64 MiB, default 8 MiB. */
  readonly partSize?: number;
  /** Parts of one object that are sent at once; more than 4 while they take long, as they do far away. Default 4. */
  readonly partsAtOnce?: number;
  /** Bytes that all uploads of this backend together may hold in memory. Default 64 MiB. */
  readonly uploadMemory?: number;
  /**
   * Where parts are written whose clients are slow, while clients who are slow as well hold the memory: up to a part for each, in files
   * without names. Where nothing can be written, they wait. Default: the system's directory for temporary files.
   */
  readonly spoolDirectory?: string;
  /** Bytes from which a server-side copy is made part by part. At most 5 GiB; default 1 GiB. */
  readonly copyByPartsFrom?: number;
}
