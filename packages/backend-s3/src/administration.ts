import type { Acl, CallContext, CannedAcl, LifecycleRule, ObjectAddress } from '@coffer/storage-core';

import type { AclHeader } from './acl-header.ts';
import type { ObjectVersion, Upload } from './transport.ts';

/** A lifecycle rule that the bucket already has. */
export interface ExistingRule extends LifecycleRule {
  readonly isEnabled: boolean;
  /** Whether it is only about some objects below the prefix: those of certain tags or sizes. */
  readonly isNarrower: boolean;
  /** Which small objects AWS moves to other storage classes. The same in all rules of the bucket, and lost unless it is written back. */
  readonly smallObjects?: string;
  /** The rule in the format of the driver that read it. It may contain more than Coffer understands. */
  readonly raw: unknown;
}

/** What the rules that the bucket already has say about small objects; undefined if there are none, or if the server does not say. */
export function smallObjectsOf(rules: readonly (LifecycleRule | ExistingRule)[]): string | undefined {
  return rules.flatMap((rule) => ('raw' in rule && rule.smallObjects !== undefined ? [rule.smallObjects] : []))[0];
}

export interface CorsRule {
  readonly id?: string | undefined;
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposed: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
}

/** A CORS rule that the bucket already has, possibly with fields that Coffer does not know. */
export interface ExistingCorsRule extends Omit<CorsRule, 'maxAge'> {
  /** As in `ExistingRule`. */
  readonly raw: unknown;
}

export interface Tag {
  readonly name: string;
  readonly value: string;
}

export interface OpenUpload extends Upload {
  /** 1970 if the server does not say, as older versions of SeaweedFS. */
  readonly initiatedAt: Date;
}

/** A page of the parts of an upload. */
export interface ListedParts {
  /** Total size of these parts in bytes. */
  readonly size: number;
  /** When the most recent part was uploaded; 1970 if there are no parts or the server does not say. */
  readonly latest: Date;
  readonly next?: string;
}

export interface UploadMarker {
  readonly key: string;
  readonly uploadId?: string;
}

/** The infrequent calls. All of them reject as `call` does. */
export interface Administration {
  /** @param options without a `locationConstraint`, the bucket is created in the region that has no LocationConstraint */
  createBucket(
    bucket: string,
    options: { readonly locationConstraint?: string; readonly acl?: AclHeader; readonly namespace?: 'account-regional' },
    ctx: CallContext,
  ): Promise<void>;
  deleteBucket(bucket: string, ctx: CallContext): Promise<void>;
  /** Empty if the region has no LocationConstraint. */
  getLocation(bucket: string, ctx: CallContext): Promise<string>;
  getVersioning(bucket: string, ctx: CallContext): Promise<boolean>;
  /** Whether the bucket keeps versions, or has kept them until that was suspended. */
  hasKeptVersions(bucket: string, ctx: CallContext): Promise<boolean>;
  setVersioning(bucket: string, enabled: boolean, ctx: CallContext): Promise<void>;
  /** Rejects with the provider's error if the bucket has none. */
  getRules(bucket: string, ctx: CallContext): Promise<readonly ExistingRule[]>;
  /** Replaces all rules. An `ExistingRule` is written back unchanged. */
  putRules(bucket: string, rules: readonly (LifecycleRule | ExistingRule)[], ctx: CallContext): Promise<void>;
  deleteRules(bucket: string, ctx: CallContext): Promise<void>;
  /** Rejects with the provider's error if the bucket has none. */
  getCors(bucket: string, ctx: CallContext): Promise<readonly ExistingCorsRule[]>;
  /** Replaces all rules. An `ExistingCorsRule` is written back unchanged. */
  putCors(bucket: string, rules: readonly (CorsRule | ExistingCorsRule)[], ctx: CallContext): Promise<void>;
  putObjectAcl(at: ObjectAddress, acl: CannedAcl | Acl, ctx: CallContext): Promise<void>;
  getTags(at: ObjectAddress, ctx: CallContext): Promise<readonly Tag[]>;
  /** Replaces all tags. */
  putTags(at: ObjectAddress, tags: readonly Tag[], ctx: CallContext): Promise<void>;
  getBucketAcl(bucket: string, ctx: CallContext): Promise<Acl>;
  putBucketAcl(bucket: string, acl: CannedAcl, ctx: CallContext): Promise<void>;
  /** The first page of versions and delete markers whose keys begin with `prefix`. */
  listVersions(bucket: string, ctx: CallContext, prefix?: string): Promise<readonly ObjectVersion[]>;
  listUploads(
    bucket: string,
    after: UploadMarker | undefined,
    ctx: CallContext,
  ): Promise<{ readonly uploads: readonly OpenUpload[]; readonly next?: UploadMarker }>;
  listParts(upload: Upload, after: string | undefined, ctx: CallContext): Promise<ListedParts>;
}

/** The names of all calls, for `lazily`. */
export const administrationCalls: Readonly<Record<keyof Administration, true>> = {
  createBucket: true,
  deleteBucket: true,
  getLocation: true,
  getVersioning: true,
  hasKeptVersions: true,
  setVersioning: true,
  getRules: true,
  putRules: true,
  deleteRules: true,
  getCors: true,
  putCors: true,
  putObjectAcl: true,
  getTags: true,
  putTags: true,
  getBucketAcl: true,
  putBucketAcl: true,
  listVersions: true,
  listUploads: true,
  listParts: true,
};
