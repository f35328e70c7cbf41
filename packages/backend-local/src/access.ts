import type { CannedAcl, ObjectAddress, StorageBackend } from '@coffer/storage-core';

/** Whom a signature counts for. */
export interface SignedFor {
  /** The label that the request is counted under: the `tenant` of the context in which it was signed. */
  readonly tenant?: string;
}

/** What a valid signature lets its holder read. */
export interface ReadGrant extends ObjectAddress, SignedFor {
  /** Content-Disposition of the answer. */
  readonly contentDisposition?: string;
  /** Content-Type of the answer, instead of the object's. */
  readonly contentType?: string;
}

/** What a valid signature lets its holder write: one object of just this size and type, where they are given. */
export interface WriteGrant extends ObjectAddress, SignedFor {
  /** Bytes. */
  readonly size?: number;
  readonly contentType?: string;
  readonly acl?: CannedAcl;
  readonly storageClass?: string;
}

/**
 * What the HTTP handler needs beyond `StorageBackend`. A wrapped backend has no such member; copy it over:
 * `{ ...wrapBackend(local, observe(observer)), access: local.access }` makes presigned traffic be counted.
 */
export interface LocalAccess {
  /**
   * Checks the signature, the expiry and the method of a presigned URL, which holds for the bucket of its time only, not for a
   * later one of the same name.
   * @throws access_denied
   */
  verifyRead(at: ObjectAddress, query: URLSearchParams): Promise<ReadGrant>;
  /** @throws access_denied */
  verifyWrite(at: ObjectAddress, query: URLSearchParams): Promise<WriteGrant>;
  /** Checks the fields of a presigned form, by their lower-case names. @throws access_denied, invalid_key */
  verifyForm(bucket: string, fields: ReadonlyMap<string, string>): Promise<WriteGrant>;
  /**
   * The storage as anybody sees it: only objects whose ACL grants public read. All others, there or not, are
   * access_denied.
   */
  readonly anonymous: Pick<StorageBackend, 'get' | 'head'>;
}

/** Whether a URL carries a signature at all. */
export function isSigned(query: URLSearchParams): boolean {
  return query.has(parameters.signature);
}

/** Names in presigned URLs; the form has those of its fields in lower case. */
export const parameters = {
  signature: 'x-coffer-signature',
  expires: 'x-coffer-expires',
  size: 'x-coffer-size',
  contentType: 'x-coffer-content-type',
  acl: 'x-coffer-acl',
  storageClass: 'x-coffer-storage-class',
  tenant: 'x-coffer-tenant',
  bucketId: 'x-coffer-bucket',
  responseType: 'response-content-type',
  responseDisposition: 'response-content-disposition',
  policy: 'policy',
} as const;
