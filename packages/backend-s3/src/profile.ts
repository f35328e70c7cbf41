import type { KeyClass } from './key-classes.ts';
import { maxParts } from './limits.ts';

/** Checksums that a server may receive with a body: Content-MD5, x-amz-checksum-crc32, x-amz-checksum-sha256. */
export type BodySum = 'md5' | 'crc32' | 'sha256';

/** What an endpoint was observed to do, not what it claims. */
export interface EndpointProfile {
  /** The region of a bucket that is created without naming one; undefined if the endpoint does not say, or if none could be created. */
  readonly region: string | undefined;
  /** Refuses writes without a valid signature, however their body is framed. */
  readonly checksSignatures: boolean;
  /** A canned ACL on a write takes effect, instead of being answered with 200 and ignored. */
  readonly acl: boolean;
  /** The credentials may write, but not with an ACL. Whether the server has ACLs is then unknown, and `acl` is false. */
  readonly aclDenied: boolean;
  /** PutObject enforces If-None-Match. */
  readonly conditionalPut: boolean;
  /** The same in a bucket that keeps versions, if the server has such buckets. Undefined if that could not be probed. */
  readonly conditionalPutOfVersions: boolean | undefined;
  /** How PutObject expects the ETag of an If-Match that it enforces; false if it enforces none. */
  readonly putMatch: 'quoted' | 'bare' | false;
  /** CompleteMultipartUpload enforces If-None-Match and If-Match. */
  readonly conditionalComplete: boolean;
  /** The most parts that CompleteMultipartUpload makes an object of. */
  readonly maxParts: number;
  /** CopyObject enforces If-None-Match at the destination. */
  readonly conditionalCopy: boolean;
  /** CopyObject enforces x-amz-copy-source-if-match. */
  readonly copySourceCondition: boolean;
  /** DeleteObject enforces If-Match. */
  readonly conditionalDelete: boolean;
  /** PutObject accepts these, and refuses bytes that do not match. */
  readonly verifiedSums: readonly BodySum[];
  /** Accepts forms with a signed policy. */
  readonly postPolicy: boolean;
  /**
   * `bound`: a presigned PUT accepts only bytes. `guarded`: only with headers that are signed against copies. `open`: it can have any
   * object copied.
   */
  readonly presignedPuts: 'bound' | 'guarded' | 'open';
  /** The canned ACL of a form takes effect. */
  readonly formAcl: boolean;
  /** Forms can upload an empty object, and then nothing else. */
  readonly emptyForms: boolean;
  /** This and the next three are undefined if the credentials could not create a bucket for the probe: it then shows when they are used. */
  readonly versioning: boolean | undefined;
  readonly lifecycle: boolean | undefined;
  /** Lifecycle rules may abort stale multipart uploads. */
  readonly abortRule: boolean | undefined;
  /** Buckets have CORS rules of their own. */
  readonly cors: boolean | undefined;
  /**
   * DeleteBucket is refused while there are objects. Undefined if no bucket could be created for the probe, or if the bucket was kept for
   * another reason.
   */
  readonly keepsFullBuckets: boolean | undefined;
  /** Lists leave out `x/y` while `x` exists. */
  readonly hidesKeysBelowObjects: boolean;
  /** Metadata names keep their "_". */
  readonly keepsUnderscores: boolean;
  /** Metadata without a value is kept. */
  readonly keepsEmptyValues: boolean;
  /** The storage class of a write is kept or refused, instead of being answered with 200 and forgotten. */
  readonly storageClasses: boolean;
  readonly refusedKeys: readonly KeyClass[];
}

/** Whether the server is known to have no ACLs, or to ignore them. */
export function lacksAcls(profile: EndpointProfile | undefined): boolean {
  return profile?.acl === false && !profile.aclDenied;
}

/** AWS as documented. Buckets without ACLs report that themselves, with an error. */
export const awsProfile: EndpointProfile = {
  region: undefined,
  checksSignatures: true,
  acl: true,
  aclDenied: false,
  conditionalPut: true,
  conditionalPutOfVersions: true,
  putMatch: 'quoted',
  conditionalComplete: true,
  maxParts,
  conditionalCopy: true,
  copySourceCondition: true,
  conditionalDelete: true,
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
