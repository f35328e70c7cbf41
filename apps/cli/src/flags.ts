import { cannedAcls } from '@coffer/storage-core';

import { Args, Flags } from './oclif.ts';

// Flags and arguments that several commands share.

export const bucketArgs = { name: Args.string({ ignoreStdin: true, description: 'Name of the bucket.', required: true }) };

export const tenantArgs = { id: Args.string({ ignoreStdin: true, description: 'Uuid or slug of the tenant.', required: true }) };

export const aclFlag = Flags.option({
  options: cannedAcls,
  description: 'Canned ACL. Default: STORAGE_DEFAULT_ACL.',
});

/** Flags of the commands that create a bucket. */
export const newBucketFlags = {
  region: Flags.string({ description: 'Region of the bucket, instead of STORAGE_S3_REGION.', helpValue: 'REGION' }),
  acl: aclFlag({ description: 'Canned ACL of the bucket.' }),
};

export const confirmFlag = Flags.boolean({ description: 'Really delete. Without this flag, the command only shows what it would delete.' });

export const storageClassFlag = Flags.custom<string>({
  description: 'Storage class, by its S3 name. Default: STORAGE_DEFAULT_STORAGE_CLASS.',
  helpValue: 'CLASS',
});
