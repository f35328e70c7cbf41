import type { CannedAcl } from '@coffer/storage-core';

/** `private` is what every server does unasked, and some buckets refuse any word about ACLs. */
export type ToldAcl = Exclude<CannedAcl, 'private'>;

/** What is said of one to the provider. */
export function toldAcl(acl: CannedAcl | undefined): { readonly acl?: ToldAcl } {
  return acl === undefined || acl === 'private' ? {} : { acl };
}
