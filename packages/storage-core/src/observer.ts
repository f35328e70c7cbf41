import type { StorageErrorCode } from './errors.ts';

/** What is counted and logged, under the same names in metrics, logs and traces. */
export type Operation =
  | 'upload'
  | 'download'
  | 'head'
  | 'delete'
  | 'list'
  | 'copy'
  | 'presign'
  | 'create_bucket'
  | 'bucket_info'
  | 'list_buckets'
  | 'delete_bucket'
  | 'provision_bucket'
  | 'get_object_acl'
  | 'set_object_acl'
  | 'get_bucket_acl'
  | 'set_bucket_acl'
  | 'get_versioning'
  | 'set_versioning'
  | 'get_lifecycle'
  | 'set_lifecycle'
  | 'delete_lifecycle'
  | 'sweep';

/** One finished call. A download finishes when its body does. */
export interface OperationEvent {
  readonly operation: Operation;
  /** Bucket and ACL operations are also counted separately. */
  readonly kind: 'object' | 'bucket' | 'acl';
  readonly backend: string;
  readonly bucket?: string;
  /** Slug of the tenant, if any. */
  readonly tenant?: string;
  readonly requestId?: string;
  /** A download is a `success` even if its reader went away: see `code`. */
  readonly outcome: 'success' | 'error';
  /** `aborted` when the caller went away. */
  readonly code?: StorageErrorCode | 'aborted';
  /** Milliseconds. */
  readonly ms: number;
  /** Body bytes that passed. */
  readonly bytes: number;
}

/** Bytes as they pass. */
export interface TransferEvent {
  readonly direction: 'upload' | 'download';
  readonly backend: string;
  readonly tenant?: string;
  readonly bytes: number;
}

/** Sees every call once, however often it was retried. What it throws fails no call, and is an uncaught exception. */
export interface Observer {
  /** Called once a call is over; for a download, once its body is. */
  operation?(event: OperationEvent): void;
  /** Called for each chunk of a body. */
  transfer?(event: TransferEvent): void;
}
