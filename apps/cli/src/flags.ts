import { cannedAcls } from '@coffer/storage-core';

import { Flags } from './oclif.ts';

/** Flags that several commands share. */
export const aclFlag = Flags.option({
  options: cannedAcls,
  description: "Canned ACL. Default: STORAGE_DEFAULT_ACL; for copies, the source's.",
});

export const confirmFlag = Flags.boolean({ description: 'Really delete. Without this flag, the command only shows what it would delete.' });

export const storageClassFlag = Flags.custom<string>({
  description: 'Storage class, by its S3 name. Default: STORAGE_DEFAULT_STORAGE_CLASS.',
  helpValue: 'CLASS',
});
