import type { Acl, CallContext, CannedAcl, LifecycleRule, ObjectAddress } from '@coffer/storage-core';

import type { ToldAcl } from './told-acl.ts';
import type { ObjectVersion, Upload } from './transport.ts';

/** A lifecycle rule of a bucket. */
export interface HeldRule extends LifecycleRule {
  readonly isEnabled: boolean;
  /** As the door has it that it came through: it may say more than Coffer knows of rules. */
  readonly whole: unknown;
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

/** One that is there already, whatever else it says. */
export interface HeldCorsRule extends Omit<CorsRule, 'maxAge'> {
  /** As of a `HeldRule`. */
  readonly whole: unknown;
}

export interface Tag {
  readonly name: string;
  readonly value: string;
}

export interface OpenUpload extends Upload {
  /** 1970 where the server does not say, as SeaweedFS did not for long. */
  readonly since: Date;
}

/** A page of the parts of an upload. */
export interface ListedParts {
  /** Bytes of all of them. */
  readonly size: number;
  /** When the last one came; 1970 where there is none, or the server does not say. */
  readonly latest: Date;
  readonly next?: string;
}

export interface UploadMarker {
  readonly key: string;
  readonly uploadId?: string;
}

/** The calls that are made now and then. All reject as `call` does. */
export interface Administration {
  /** @param options `place` is a LocationConstraint; without one, it is where no word leads to */
  createBucket(bucket: string, options: { readonly place?: string; readonly acl?: ToldAcl }, ctx: CallContext): Promise<void>;
  deleteBucket(bucket: string, ctx: CallContext): Promise<void>;
  /** Empty where the place has no name. */
  getLocation(bucket: string, ctx: CallContext): Promise<string>;
  getVersioning(bucket: string, ctx: CallContext): Promise<boolean>;
  setVersioning(bucket: string, enabled: boolean, ctx: CallContext): Promise<void>;
  /** Rejects where there are none, as the provider does. */
  getRules(bucket: string, ctx: CallContext): Promise<readonly HeldRule[]>;
  /** Those that are held already stay what they are. */
  putRules(bucket: string, rules: readonly (LifecycleRule | HeldRule)[], ctx: CallContext): Promise<void>;
  deleteRules(bucket: string, ctx: CallContext): Promise<void>;
  /** Rejects where there are none, as the provider does. */
  getCors(bucket: string, ctx: CallContext): Promise<readonly HeldCorsRule[]>;
  /** Those that are held already stay what they are. */
  putCors(bucket: string, rules: readonly (CorsRule | HeldCorsRule)[], ctx: CallContext): Promise<void>;
  putObjectAcl(at: ObjectAddress, acl: CannedAcl | Acl, ctx: CallContext): Promise<void>;
  getTags(at: ObjectAddress, ctx: CallContext): Promise<readonly Tag[]>;
  /** All of them. */
  putTags(at: ObjectAddress, tags: readonly Tag[], ctx: CallContext): Promise<void>;
  getBucketAcl(bucket: string, ctx: CallContext): Promise<Acl>;
  putBucketAcl(bucket: string, acl: CannedAcl, ctx: CallContext): Promise<void>;
  /** The first page of versions and delete markers, of keys that begin so. */
  listVersions(bucket: string, ctx: CallContext, prefix?: string): Promise<readonly ObjectVersion[]>;
  listUploads(
    bucket: string,
    after: UploadMarker | undefined,
    ctx: CallContext,
  ): Promise<{ readonly uploads: readonly OpenUpload[]; readonly next?: UploadMarker }>;
  listParts(upload: Upload, after: string | undefined, ctx: CallContext): Promise<ListedParts>;
}

/** For `lazily`. */
export const administrationCalls: Readonly<Record<keyof Administration, true>> = {
  createBucket: true,
  deleteBucket: true,
  getLocation: true,
  getVersioning: true,
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
