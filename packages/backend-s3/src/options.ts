import type { S3ClientConfig } from '@aws-sdk/client-s3';

/** Which server a backend talks to, and how. */
export interface S3BackendOptions {
  /** The `backend` label in metrics and logs. Default `s3`. */
  readonly name?: string;
  /** The signing region, and the region of new buckets. Default us-east-1. */
  readonly region?: string;
  /** URL of an S3-compatible server. Default: AWS. */
  readonly endpoint?: string;
  /** The URL by which browsers reach the server; presigned URLs are signed for it. Default: `endpoint`. */
  readonly publicEndpoint?: string;
  /** Both or neither. Without them: the SDK's default chain (environment, files, roles), read again as credentials rotate. */
  readonly accessKey?: string;
  readonly secretKey?: string;
  /** Any credential provider of the AWS SDK, instead of the keys. */
  readonly credentials?: S3ClientConfig['credentials'];
  /** True: `endpoint/bucket/key`; false: `bucket.endpoint/key`. Default: true for an `endpoint` that is not AWS. */
  readonly forcePathStyle?: boolean;
  /** False accepts any certificate. Default true. */
  readonly verifySsl?: boolean;
  /** The most sockets to the provider at once. Default 10. */
  readonly maxPoolConnections?: number;
  /** Retries after the first attempt. Default 3. */
  readonly maxRetries?: number;
  /** Default `standard`. */
  readonly retryMode?: 'standard' | 'adaptive';
  /**
   * Whether to wait for a server that has answered before and is now gone: seconds between attempts instead of fractions of one, only with
   * the `lean` transport. Large copies and deletions then leave no sockets to others. Meant for commands; a service should tell its clients
   * sooner. Default false.
   */
  readonly patient?: boolean;
  /** Seconds to connect, and seconds that a socket or an open body may be idle. Default 60. */
  readonly timeout?: number;
  /**
   * Whether the SHA-256 of bodies is computed and signed: `always`, or only once the server has insisted on it. Checksums that callers
   * declare are verified and sent either way. Default `when-required`.
   */
  readonly payloadSigning?: 'when-required' | 'always';
  /** What carries all calls: signed requests of our own, or the AWS SDK, at several times the CPU. Default `lean`. */
  readonly transport?: 'lean' | 'sdk';
  /** Bytes of a part of a multipart upload; objects up to this size are written by a single PUT. 5 MiB to 64 MiB, default 8 MiB. */
  readonly partSize?: number;
  /** Parts of one object that are sent at once; more than 4 only while parts take long, as to a distant provider. Default 4. */
  readonly partsAtOnce?: number;
  /**
   * Bytes that the parts of all uploads of this backend may hold in memory. Parts that were in files, and copies, may hold a quarter more;
   * uploads of up to 256 KiB are not counted. Default 64 MiB.
   */
  readonly uploadMemory?: number;
  /**
   * Where parts of slow uploads are gathered while other slow uploads hold the memory: at most one part for each, in unnamed files. If
   * nothing can be written there, they wait. Default: the system's directory for temporary files.
   */
  readonly spoolDirectory?: string;
  /** Size in bytes from which a server-side copy is made part by part. At most 5 GiB; default 1 GiB. */
  readonly copyByPartsFrom?: number;
}
