import type { KeyClass } from './key-classes.ts';

/** Sums of a body that come with it: Content-MD5, x-amz-checksum-crc32, x-amz-checksum-sha256. */
export type BodySum = 'md5' | 'crc32' | 'sha256';

/** What an endpoint was seen to do, not what it claims. */
export interface EndpointProfile {
  /** Where a bucket comes to lie that is made for no region by name; undefined where the endpoint does not tell, or makes none. */
  readonly region: string | undefined;
  /** Refuses writes that are signed with no key, however their body comes. */
  readonly checksSignatures: boolean;
  /** A canned ACL on a write takes effect, instead of being answered with 200 and ignored. */
  readonly acl: boolean;
  /** PutObject enforces If-None-Match. */
  readonly conditionalPut: boolean;
  /** The same in a bucket that keeps versions, if there are any. Undefined where that could not be tried out. */
  readonly conditionalPutOfVersions: boolean | undefined;
  /** How PutObject wants the ETag of an If-Match that it enforces; false where it enforces none. */
  readonly putMatch: 'quoted' | 'bare' | false;
  /** CompleteMultipartUpload enforces If-None-Match and If-Match. */
  readonly conditionalComplete: boolean;
  /** CopyObject enforces If-None-Match at the destination. */
  readonly conditionalCopy: boolean;
  /** CopyObject enforces x-amz-copy-source-if-match. */
  readonly copySourceCondition: boolean;
  /** PutObject takes these, and refuses bytes that do not match. */
  readonly verifiedSums: readonly BodySum[];
  /** Takes forms with a signed policy. */
  readonly postPolicy: boolean;
  /** Whether a presigned PUT takes bytes alone, does so with headers that are signed against copies, or has any object copied. */
  readonly presignedPuts: 'bound' | 'guarded' | 'open';
  /** The canned ACL of a form takes effect. */
  readonly formAcl: boolean;
  /** Forms may bring an object without a byte, and then no other. */
  readonly emptyForms: boolean;
  /** Undefined, as any of the following three, where the credentials could create no bucket to try it out: it shows when it is asked for. */
  readonly versioning: boolean | undefined;
  readonly lifecycle: boolean | undefined;
  /** Lifecycle rules may abort stale multipart uploads. */
  readonly abortRule: boolean | undefined;
  /** Buckets have CORS rules of their own. */
  readonly cors: boolean | undefined;
  /** DeleteBucket is refused while there are objects. Undefined where no bucket could be made to try it out. */
  readonly keepsFullBuckets: boolean | undefined;
  /** Lists leave out `x/y` while there is `x`. */
  readonly hidesKeysBelowObjects: boolean;
  /** Names of metadata keep their "_". */
  readonly keepsUnderscores: boolean;
  /** Metadata without a value is kept. */
  readonly keepsEmptyValues: boolean;
  /** A storage class of a write is kept, or refused, instead of being answered with 200 and forgotten. */
  readonly storageClasses: boolean;
  readonly refusedKeys: readonly KeyClass[];
}

/** AWS as documented. Buckets without ACLs say so themselves, with an error. */
export const awsProfile: EndpointProfile = {
  region: undefined,
  checksSignatures: true,
  acl: true,
  conditionalPut: true,
  conditionalPutOfVersions: true,
  putMatch: 'quoted',
  conditionalComplete: true,
  conditionalCopy: true,
  copySourceCondition: true,
  verifiedSums: ['md5', 'crc32', 'sha256'],
  postPolicy: true,
  presignedPuts: 'bound',
  formAcl: true,
  emptyForms: true,
  versioning: true,
  lifecycle: true,
  abortRule: true,
  cors: true,
  keepsFullBuckets: true,
  hidesKeysBelowObjects: false,
  keepsUnderscores: true,
  keepsEmptyValues: true,
  storageClasses: true,
  refusedKeys: [],
};
