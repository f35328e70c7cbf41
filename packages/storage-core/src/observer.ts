import type { StorageErrorCode } from './errors.ts';

/** What is counted and logged; the same words in metrics, logs and traces. */
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

/** One finished call. A download is finished when its body is. */
export interface OperationEvent {
  readonly operation: Operation;
  /** Bucket and ACL operations are also counted apart. */
  readonly kind: 'object' | 'bucket' | 'acl';
  readonly backend: string;
  readonly bucket?: string;
  /** Slug of the tenant, where there is one. */
  readonly tenant?: string;
  readonly requestId?: string;
  /** Of a download `success` also when its reader went away: see `code`. */
  readonly outcome: 'success' | 'error';
  /** `aborted` when the caller went away. */
  readonly code?: StorageErrorCode | 'aborted';
  /** Milliseconds. */
  readonly ms: number;
  /** Bytes of body that passed. */
  readonly bytes: number;
}

/** Bytes as they pass. */
export interface TransferEvent {
  readonly direction: 'upload' | 'download';
  readonly backend: string;
  readonly tenant?: string;
  readonly bytes: number;
}

/** Sees every call once, however often it was retried. Must not throw. */
export interface Observer {
  /** Once a call is over; a download is when its body is. */
  operation?(event: OperationEvent): void;
  /** For each chunk of a body. */
  transfer?(event: TransferEvent): void;
}
