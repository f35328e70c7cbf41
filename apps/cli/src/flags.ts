import { cannedAcls } from '@coffer/storage-core';

import { Flags } from './oclif.ts';

/** Flags that several commands have. */
export const aclFlag = Flags.option({
  options: cannedAcls,
  description: "Canned ACL; by default STORAGE_DEFAULT_ACL, and for copies the source's.",
});

export const confirmFlag = Flags.boolean({ description: 'Really delete. Without it, the command shows what would go.' });

export const storageClassFlag = Flags.custom<string>({
  description: "Storage class, by S3's names; by default STORAGE_DEFAULT_STORAGE_CLASS.",
  helpValue: 'CLASS',
});
