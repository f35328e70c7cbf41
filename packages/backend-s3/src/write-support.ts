import { storageError } from '@coffer/storage-core';
import type { CallContext, ObjectAddress, PutOptions } from '@coffer/storage-core';

import { assertAclSupported } from './acl-support.ts';
import { assertKeySupported } from './key-support.ts';
import type { Store } from './store.ts';

/** Checks the options of an object to be written. @throws invalid_key, invalid_argument, acl_not_supported, not_supported */
export async function assertWriteSupported(
  store: Store,
  at: ObjectAddress,
  { acl, storageClass }: Pick<PutOptions, 'acl' | 'storageClass'>,
  ctx: CallContext,
): Promise<void> {
  await assertKeySupported(store, at, ctx);
  await assertAclSupported(store, at.bucket, acl, ctx);
  await assertStorageClassSupported(store, at.bucket, storageClass, ctx);
}

/** @throws invalid_argument; not_supported if the server forgets storage classes, except for `STANDARD`, which it applies anyway */
async function assertStorageClassSupported(
  store: Store,
  bucket: string,
  storageClass: string | undefined,
  ctx: CallContext,
): Promise<void> {
  if (storageClass === undefined || storageClass === 'STANDARD') return;
  // Headers lose white space, so the server would write another class than it was given; other characters may break the signature.
  if (!/^[!-~]+$/.test(storageClass))
    throw storageError('invalid_argument', 'A storage class must be one or more ASCII characters without white space.');
  if ((await store.endpoint.profileIfAllowed(bucket, ctx))?.storageClasses !== false) return;
  throw storageError('not_supported', 'This storage provider has no storage class but STANDARD: it accepts others and forgets them.');
}
