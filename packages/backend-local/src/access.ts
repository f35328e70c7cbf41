import type { CannedAcl, ObjectAddress, StorageBackend } from '@coffer/storage-core';

/** Who a signed request is counted for. */
export interface SignedFor {
  /** The tenant label of the request: the `tenant` of the context in which the URL was signed. */
  readonly tenant?: string;
}

/** What a valid signature allows its holder to read. */
export interface ReadGrant extends ObjectAddress, SignedFor {
  /** Content-Disposition of the response. */
  readonly contentDisposition?: string;
  /** Content-Type of the response, instead of the object's. */
  readonly contentType?: string;
}

/** What a valid signature allows its holder to write: one object, of exactly this size and type where they are given. */
export interface WriteGrant extends ObjectAddress, SignedFor {
  /** Bytes. */
  readonly size?: number;
  readonly contentType?: string;
  readonly acl?: CannedAcl;
  readonly storageClass?: string;
}

/**
 * What the HTTP handler needs beyond `StorageBackend`. A wrapped backend lacks this member, so copy it over:
 * `{ ...wrapBackend(local, observe(observer)), access: local.access }` lets the observer see presigned traffic.
 */
export interface LocalAccess {
  /**
   * Checks the signature, expiry and method of a presigned URL. The URL is valid only for the bucket that existed when it was signed,
   * not for a later bucket of the same name.
   * @throws access_denied, no_such_bucket
   */
  verifyRead(at: ObjectAddress, query: URLSearchParams): Promise<ReadGrant>;
  /** @throws access_denied, no_such_bucket */
  verifyWrite(at: ObjectAddress, query: URLSearchParams): Promise<WriteGrant>;
  /** Checks the fields of a presigned form, given by lower-case name. @throws access_denied, no_such_bucket */
  verifyForm(bucket: string, fields: ReadonlyMap<string, string>): Promise<WriteGrant>;
  /**
   * The storage as an anonymous reader sees it: only objects whose ACL grants public read. Every other key is access_denied, whether
   * or not the object exists.
   */
  readonly anonymous: Pick<StorageBackend, 'get' | 'head'>;
}

/** Whether a URL carries a signature. */
export function isSigned(query: URLSearchParams): boolean {
  return query.has(parameters.signature);
}

/** Parameter names in presigned URLs. The fields of presigned forms are looked up by lower-case name. */
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
